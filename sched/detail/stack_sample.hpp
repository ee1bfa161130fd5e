// SPDX-License-Identifier: MIT
#pragma once
// Where another thread of this process stands, without stopping it: it is sent SIGURG, whose
// handler writes down the thread's own stack and what its worker runs. SIGURG, since it is ignored
// by default and nobody waits for it. A program that handles SIGURG itself keeps its handler; then
// there is no stack. A system call that the thread blocks in is restarted, or ends with EINTR where
// signal(7) says so.

#include "weft/runtime/trace_span.hpp"

#include <cstdint>
#include <string>

#include <pthread.h>

namespace weft::detail {

struct stack_sampling;
struct worker;

struct stack_sample {
  static constexpr int frames_max = 48;

  void* frames[frames_max];
  int count = 0;
  trace_span running{};    // what the worker runs; nothing has a name when it runs no task
  std::uint64_t beat = 0;  // the worker's
};

/// While one lives the handler is installed.
class stack_sampler {
public:
  /// Errors: bad_alloc.
  stack_sampler();
  stack_sampler(const stack_sampler&) = delete;
  stack_sampler& operator=(const stack_sampler&) = delete;
  ~stack_sampler();

  /// Returns: null, or why there is no stack.
  /// Thread:  any but the sampled one, which lives until this returns.
  /// Cost:    a signal; waits a tenth of a second for the answer at most.
  const char* take(pthread_t thread, stack_sample& out);

private:
  stack_sampling& shared_;
};

/// One frame a line, innermost first; those without a name with how to find it. Errors: bad_alloc.
std::string stack_text(const stack_sample& s);

}  // namespace weft::detail

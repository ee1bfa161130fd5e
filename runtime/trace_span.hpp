// SPDX-License-Identifier: MIT
#pragma once
// One entry of a recording (trace.hpp), by itself: the worker record holds the one that is being
// made.

#include <cstdint>

namespace weft {

/// One stretch for which a task ran on a worker. Times are steady-clock nanoseconds; the strings
/// live as long as the recording.
struct trace_span {
  std::int64_t begin_ns, end_ns;
  std::uint64_t task;  // equal for all stretches of one task
  const char* name;    // the task's function; "" or nullptr when unknown
  const char* file;    // with `line`: the co_await that it came back from; "" or nullptr at first
  std::uint32_t line;
};

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// The option .stall_after: a helper thread that looks, four times within that time, at the beat of
// each worker. One that has stood in the same stretch for as long is reported, with what it runs
// and where it stands. Looks are counted, not time: a process that was stopped, or a machine too
// busy for the watch itself, is no stall of a task's.
// Looks are a millisecond apart at least: four of them are the shortest stall.

#include "weft/io/kernel/kernel.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/sched/detail/stack_sample.hpp"
#include "weft/sched/run_options.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <pthread.h>

namespace weft::detail {

class stall_watch : stall_hook {
public:
  /// `o.stall_after` is positive. Errors: bad_alloc; system_error when no thread can be had.
  stall_watch(kernel& k, const run_options& o, unsigned workers);
  stall_watch(const stall_watch&) = delete;
  stall_watch& operator=(const stall_watch&) = delete;
  ~stall_watch();

  /// Watches this thread's worker from here on.
  void add(worker& w) noexcept;
  /// No longer. Thread: the worker's own.
  void remove(worker& w) noexcept;

private:
  struct seat {
    worker* watched;
    pthread_t thread;
    std::uint64_t seen;  // the beat at the last look
    unsigned looks;      // in a row that saw the same stretch
  };

  /// One kind of report: no two of it within a second.
  struct kind {
    std::chrono::steady_clock::time_point next{};
    unsigned left_out = 0;  // came sooner than that
  };

  static constexpr unsigned looks_for_a_stall = 4;
  static constexpr std::chrono::seconds between_reports{1};

  void watch() noexcept;
  std::string look_at(seat& s) noexcept;
  template <class MakeText>
  std::string report(kind& k, MakeText make_text) noexcept;
  std::string stall_text(const seat& s);
  static std::string refusals_text(const worker& w, const promise_base& p);
  void tell(std::string_view report) const noexcept;

  const std::chrono::nanoseconds after_;
  void (*const on_stall_)(std::string_view report);
  const std::chrono::nanoseconds between_looks_;
  stack_sampler sampler_;

  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::vector<seat> seats_;
  bool stopping_ = false;
  kind stalls_;
  kind refusals_;

  std::unique_ptr<helper_thread> thread_;  // last: it uses the others
};

/// Null unless the options ask for one. Errors: as the constructor.
std::unique_ptr<stall_watch> make_stall_watch(kernel& k, const run_options& o, unsigned workers);

/// A worker that is watched as long as the object lives; by nobody when `watch` is null.
class watched_worker {
public:
  watched_worker(stall_watch* watch, worker& w) noexcept : watch_(watch), worker_(w) {
    if (watch_ != nullptr) watch_->add(worker_);
  }
  watched_worker(const watched_worker&) = delete;
  watched_worker& operator=(const watched_worker&) = delete;
  ~watched_worker() {
    if (watch_ != nullptr) watch_->remove(worker_);
  }

private:
  stall_watch* const watch_;
  worker& worker_;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// How many outside of a scheduler have said that they will wake one of its tasks: work guards, and
// a run between its preparation and its start. Shared with the guards, which may outlive the
// scheduler.
//
//   O1: what a guard's holder did, then release (seq_cst) -> whoever reads none() (seq_cst) looks
//       at the mailboxes next, and finds it.
//   O2: release to zero (seq_cst), then look_again() asks who sleeps | a worker announces its sleep
//       (seq_cst), then reads none(): one of them sees the other, so that the last guard to go does
//       not leave a deadlock unseen.
//   O3: hold (seq_cst), then a scope is held (acq_rel) -> who waits for that scope's end finds it
//       held (acq_rel), goes to sleep, and reads none() (seq_cst): it is not.

#include "weft/runtime/scheduler.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>

namespace weft::detail {

class outside_work {
public:
  explicit outside_work(scheduler& home) noexcept : home_(&home) {}

  /// Thread: any.
  void hold() noexcept { held_.fetch_add(1, std::memory_order_seq_cst); }  // sync: O1
  void release() noexcept {
    if (held_.fetch_sub(1, std::memory_order_seq_cst) != 1) return;  // sync: O1, O2
    const std::lock_guard guard(mutex_);
    if (home_ != nullptr) home_->look_again();
  }
  bool none() const noexcept { return held_.load(std::memory_order_seq_cst) == 0; }  // sync: O1, O2

  /// The scheduler ends.
  void forget_home() noexcept {
    const std::lock_guard guard(mutex_);
    home_ = nullptr;
  }

private:
  std::atomic<std::size_t> held_{0};
  std::mutex mutex_;
  scheduler* home_;  // guarded by the mutex
};

}  // namespace weft::detail

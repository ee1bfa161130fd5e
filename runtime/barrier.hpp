// SPDX-License-Identifier: MIT
#pragma once
// barrier: a fixed number of tasks that wait for each other, again and again. The last to arrive
// ends the phase and lets all go on; the next arrival begins the next one.
//
// Who is cancelled while it waits has not arrived: the phase needs another arrival in its place.
// A participant that will not come again says so with arrive_and_drop(), else the others wait for
// it; under one task group the stop that ended it ends them as well.

#include "weft/runtime/waiter_list.hpp"

#include <cstddef>
#include <mutex>

namespace weft {

class barrier;

namespace detail {

class barrier_wait : public awaitable_operation<barrier_wait, void, listed_waiter> {
public:
  static constexpr const char* name = "barrier::arrive_and_wait";

  explicit barrier_wait(barrier& b) noexcept : barrier_(&b) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return {};
  }

private:
  barrier* barrier_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// A meeting point for a number of tasks.
///
/// Thread:   any worker of any scheduler; plain threads may drop out.
/// Lifetime: outlives its waiters.
/// Cost:     the last to arrive neither suspends nor allocates; it is linear in those who wait.
class barrier {
public:
  /// `participants`: how many arrivals end a phase.
  explicit barrier(std::size_t participants) noexcept : expected_(participants) {}
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;
  ~barrier() {
    WEFT_ASSERT(waiters_.empty(),
                "a barrier was destroyed while tasks wait for it: join them first");
  }

  /// Arrives and waits until all have.
  ///
  /// Errors: cancelled; the arrival was taken back.
  [[nodiscard]] detail::barrier_wait arrive_and_wait() noexcept {
    return detail::barrier_wait(*this);
  }

  /// One participant less, in this phase and in those to come.
  void arrive_and_drop() noexcept {
    lock_.lock();
    WEFT_ASSERT(expected_ != 0,
                "more participants dropped out of a barrier than it has: each does so once");
    --expected_;
    detail::listed_waiter* const all = arrived_ == expected_ ? end_phase() : nullptr;
    lock_.unlock();
    detail::complete_all(all);
  }

private:
  friend detail::barrier_wait;

  /// With the lock.
  detail::listed_waiter* end_phase() noexcept {
    arrived_ = 0;
    return waiters_.take_all();
  }
  /// True when this arrival ends the phase; else `self`, if there is one, arrives and is queued.
  bool try_pass(detail::listed_waiter* self) noexcept {
    lock_.lock();
    WEFT_ASSERT(expected_ != 0,
                "a task arrives at a barrier that expects nobody: all have dropped out");
    detail::listed_waiter* all = nullptr;
    const bool last = arrived_ + 1 == expected_;
    if (last) {
      all = end_phase();
    } else if (self != nullptr) {
      ++arrived_;
      waiters_.push(*self);
    }
    lock_.unlock();
    detail::complete_all(all);
    return last;
  }

  detail::spin_lock lock_;
  std::size_t expected_;
  std::size_t arrived_ = 0;  // as many as wait
  detail::waiter_list waiters_;
};

namespace detail {

inline bool barrier_wait::try_now(worker&) noexcept { return barrier_->try_pass(nullptr); }

inline bool barrier_wait::start(worker&) noexcept { return !barrier_->try_pass(this); }

inline bool barrier_wait::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<barrier_wait&>(op);
  const std::lock_guard guard(self.barrier_->lock_);
  self.withdrawn_ = self.list != nullptr;
  if (self.withdrawn_) {
    self.list->remove(self);
    --self.barrier_->arrived_;
  }
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// latch: a count that goes down to zero once, and tasks that wait for that.

#include "weft/runtime/waiter_list.hpp"

#include <cstddef>
#include <mutex>

namespace weft {

class latch;

namespace detail {

/// Counts down by `arrivals`, 0 for who only waits, and waits for zero.
class latch_wait : public awaitable_operation<latch_wait, void, listed_waiter> {
public:
  static constexpr const char* name = "latch::wait";

  latch_wait(latch& l, std::size_t arrivals) noexcept : latch_(&l), arrivals_(arrivals) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return {};
  }

private:
  latch* latch_;
  std::size_t arrivals_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// Opens, for good, when it has been counted down to zero.
///
/// Thread:   any, plain threads may count down; waiting is for tasks.
/// Lifetime: outlives its waiters and every count_down.
/// Cost:     waiting for an open latch neither suspends nor allocates; the last count_down is
///           linear in the waiters.
class latch {
public:
  /// `count`: how many arrivals open it.
  explicit latch(std::size_t count) noexcept : count_(count) {}
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;
  ~latch() {
    WEFT_ASSERT(waiters_.empty(), "a latch was destroyed while tasks wait for it: join them first");
  }

  /// Arrives `n` times without waiting.
  void count_down(std::size_t n = 1) noexcept {
    lock_.lock();
    detail::listed_waiter* const all = arrive(n);
    lock_.unlock();
    detail::complete_all(all);
  }

  /// Whether it is open.
  bool try_wait() const noexcept {
    const std::lock_guard guard(lock_);
    return count_ == 0;
  }

  /// Errors: cancelled, and nothing has happened.
  [[nodiscard]] detail::latch_wait wait() noexcept { return {*this, 0}; }

  /// Arrives `n` times and waits for the others.
  ///
  /// Errors: cancelled; the arrivals were taken back, and the latch stays closed without them.
  [[nodiscard]] detail::latch_wait arrive_and_wait(std::size_t n = 1) noexcept {
    return {*this, n};
  }

private:
  friend detail::latch_wait;

  /// With the lock. Those who wait, when this opens it.
  detail::listed_waiter* arrive(std::size_t n) noexcept {
    WEFT_ASSERT(n <= count_,
                "a latch was counted down below zero: make it with as many as there are arrivals");
    count_ -= n;
    return count_ == 0 ? waiters_.take_all() : nullptr;
  }
  /// Arrives and queues `self`, unless these are the last arrivals: true. For nobody it does
  /// nothing when they aren't.
  bool try_pass(std::size_t n, detail::listed_waiter* self) noexcept {
    lock_.lock();
    detail::listed_waiter* all = nullptr;
    const bool last = count_ <= n;
    if (last || self != nullptr) all = arrive(n);
    if (!last && self != nullptr) waiters_.push(*self);
    lock_.unlock();
    detail::complete_all(all);
    return last;
  }

  mutable detail::spin_lock lock_;
  detail::plain<std::size_t> count_;
  detail::waiter_list waiters_;
};

namespace detail {

inline bool latch_wait::try_now(worker&) noexcept { return latch_->try_pass(arrivals_, nullptr); }

inline bool latch_wait::start(worker&) noexcept { return !latch_->try_pass(arrivals_, this); }

inline bool latch_wait::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<latch_wait&>(op);
  const std::lock_guard guard(self.latch_->lock_);
  self.withdrawn_ = self.list != nullptr;
  if (self.withdrawn_) {
    self.list->remove(self);
    self.latch_->count_ += self.arrivals_;
  }
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

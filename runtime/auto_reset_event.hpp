// SPDX-License-Identifier: MIT
#pragma once
// auto_reset_event: a signal for one. Each set() lets exactly one task through: the one that has
// waited longest, or else the next that comes. Signals that nobody has received yet are not
// counted: set() twice is one signal (a semaphore counts).

#include "weft/runtime/waiter_list.hpp"

#include <mutex>
#include <utility>

namespace weft {

class auto_reset_event;

namespace detail {

class auto_reset_event_wait
    : public awaitable_operation<auto_reset_event_wait, void, listed_waiter> {
public:
  static constexpr const char* name = "auto_reset_event::wait";

  explicit auto_reset_event_wait(auto_reset_event& e) noexcept : event_(&e) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return {};
  }

private:
  auto_reset_event* event_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// A flag that whoever gets through resets.
///
/// Thread:   any, plain threads may set and reset it; waiting is for tasks.
/// Lifetime: outlives its waiters.
/// Cost:     wait() on a set event neither suspends nor allocates.
class auto_reset_event {
public:
  auto_reset_event() noexcept = default;
  auto_reset_event(const auto_reset_event&) = delete;
  auto_reset_event& operator=(const auto_reset_event&) = delete;
  ~auto_reset_event() {
    WEFT_ASSERT(waiters_.empty(),
                "an auto_reset_event was destroyed while tasks wait for it: join them first");
  }

  /// Lets one task through: the oldest waiter, or else the next to come.
  void set() noexcept {
    lock_.lock();
    detail::listed_waiter* const next = waiters_.take();
    if (next == nullptr) set_ = true;
    lock_.unlock();
    if (next != nullptr) next->complete();
  }

  /// Takes back a signal that nobody has received.
  void reset() noexcept { (void)try_wait(); }

  bool is_set() const noexcept {
    const std::lock_guard guard(lock_);
    return set_;
  }

  /// Takes the signal, when there is one: true.
  bool try_wait() noexcept {
    const std::lock_guard guard(lock_);
    return std::exchange(set_, false);
  }

  /// Errors: cancelled, and no signal was taken.
  [[nodiscard]] detail::auto_reset_event_wait wait() noexcept {
    return detail::auto_reset_event_wait(*this);
  }

private:
  friend detail::auto_reset_event_wait;

  mutable detail::spin_lock lock_;
  detail::plain<bool> set_ = false;  // only while nobody waits
  detail::waiter_list waiters_;
};

namespace detail {

inline bool auto_reset_event_wait::try_now(worker&) noexcept { return event_->try_wait(); }

inline bool auto_reset_event_wait::start(worker&) noexcept {
  const std::lock_guard guard(event_->lock_);
  if (std::exchange(event_->set_, false)) return false;
  event_->waiters_.push(*this);
  return true;
}

inline bool auto_reset_event_wait::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<auto_reset_event_wait&>(op);
  self.withdrawn_ = withdraw_waiter(self, self.event_->lock_);
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

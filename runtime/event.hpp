// SPDX-License-Identifier: MIT
#pragma once
// event: a flag that tasks wait for. Once set it lets everybody through until it is reset.

#include "weft/runtime/waiter_list.hpp"

#include <mutex>

namespace weft {

class event;

namespace detail {

class event_wait : public awaitable_operation<event_wait, void, listed_waiter> {
public:
  static constexpr const char* name = "event::wait";

  explicit event_wait(event& e) noexcept : event_(&e) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return {};
  }

private:
  event* event_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// A flag to wait for (manual reset).
///
/// Thread:   any, plain threads may set and reset it; waiting is for tasks.
/// Lifetime: outlives its waiters.
/// Cost:     wait() on a set event neither suspends nor allocates; set() is linear in the waiters.
class event {
public:
  event() noexcept = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() { WEFT_ASSERT(waiters_.empty(), "an event was destroyed while tasks wait for it"); }

  /// Lets everybody through, those who wait and those who come.
  void set() noexcept {
    lock_.lock();
    set_ = true;
    detail::listed_waiter* const all = waiters_.take_all();
    lock_.unlock();
    detail::complete_all(all);
  }

  void reset() noexcept {
    const std::lock_guard guard(lock_);
    set_ = false;
  }

  bool is_set() const noexcept {
    const std::lock_guard guard(lock_);
    return set_;
  }

  /// Errors: cancelled, and nothing has happened.
  [[nodiscard]] detail::event_wait wait() noexcept { return detail::event_wait(*this); }

private:
  friend detail::event_wait;

  mutable detail::spin_lock lock_;
  detail::plain<bool> set_ = false;
  detail::waiter_list waiters_;
};

namespace detail {

inline bool event_wait::try_now(worker&) noexcept { return event_->is_set(); }

inline bool event_wait::start(worker&) noexcept {
  const std::lock_guard guard(event_->lock_);
  if (event_->set_) return false;
  event_->waiters_.push(*this);
  return true;
}

inline bool event_wait::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<event_wait&>(op);
  self.withdrawn_ = withdraw_waiter(self, self.event_->lock_);
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

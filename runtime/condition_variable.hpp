// SPDX-License-Identifier: MIT
#pragma once
// condition_variable: a task that holds a mutex waits, without it, until another says that what the
// mutex guards has changed.
//
// One operation, and no frame: a waiter is in the queue of the condition variable, and whoever
// notifies it moves it to the queue of its mutex, so that it is resumed once, when it has both. A
// cancel moves it in the same way, with the news that it was not notified. Which of the two came
// first is decided under the lock: a notification goes to a waiter that returns with it, never to
// one that throws cancelled.

#include "weft/runtime/mutex.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/waiter_list.hpp"

#include <coroutine>
#include <mutex>
#include <type_traits>
#include <utility>

namespace weft {

class condition_variable;

namespace detail {

class condition_wait : public awaitable_operation<condition_wait, void, listed_waiter> {
public:
  static constexpr const char* name = "condition_variable::wait";

  condition_wait(condition_variable& c, semaphore& held) noexcept : condition_(&c), mutex_(&held) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    semaphore& held = *mutex_;
    bool queued = false;
    queued_ = &queued;
    const bool waits = awaitable_operation::await_suspend(h);
    // Not before: who is granted the mutex is resumed, and that may be this coroutine.
    if (queued) held.release();
    return waits;
  }

  bool try_now(worker&) noexcept { return false; }
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept {
    if (state_ == state::withdrawn) return failure{cancelled_code()};
    return {};
  }

private:
  friend condition_variable;

  enum class state : unsigned char { waits, notified, withdrawn };

  /// After it has left the condition variable's queue. True when it has the mutex at once; else it
  /// is completed when it has.
  bool take_mutex() noexcept { return mutex_->take_one_or_queue(*this); }

  condition_variable* condition_;
  semaphore* mutex_;
  bool* queued_ = nullptr;
  plain<state> state_ = state::waits;  // guarded by the condition variable's lock
};

}  // namespace detail

/// Waiting for a change of what a mutex guards.
///
/// Thread:   any; plain threads may notify. The mutex need not be held for that.
/// Lifetime: outlives its waiters.
/// Cost:     a notification is a move from one queue to another; notify_all is linear in the
///           waiters.
class condition_variable {
public:
  condition_variable() noexcept = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;
  ~condition_variable() {
    WEFT_ASSERT(waiters_.empty(),
                "a condition_variable was destroyed while tasks wait for it: join them first");
  }

  /// Unlocks the mutex, waits to be notified and locks it again. There are no spurious wake-ups,
  /// but others may have had the mutex in between: mostly the wait with a predicate is what is
  /// meant.
  ///
  /// Shape:    `lock` holds its mutex. It is held again in any case when the wait has ended.
  /// Errors:   cancelled, when no notification came first; a stop ends the wait as soon as the
  ///           mutex is free.
  /// Lifetime: this and the lock outlive the co_await.
  /// Cost:     no allocation, one suspension.
  [[nodiscard]] detail::condition_wait wait(mutex_lock& lock) noexcept {
    semaphore* const held = lock.one_;
    WEFT_ASSERT(held != nullptr,
                "condition_variable::wait with a lock that was unlocked or moved from: lock the "
                "mutex first");
    return detail::condition_wait(*this, *held);
  }

  /// Waits until `holds()`, which is called with the mutex held.
  ///
  /// Shape:    a callable without arguments; a named lambda, or a temporary one whose captures are
  ///           trivially destructible (g++ 12 destroys other ones twice).
  /// Errors:   cancelled, with the mutex held, and what the predicate throws.
  /// Lifetime: this and the lock outlive the task; the predicate is copied, or moved, into its
  ///           frame.
  /// Cost:     a frame from the worker's cache.
  template <class Predicate>
  task<> wait(mutex_lock& lock, Predicate&& holds) {
    static_assert(
        detail::safe_as_temporary<Predicate>,
        "weft: name the lambda first (auto ready = [...]; co_await cv.wait(lock, ready)): "
        "g++ 12 destroys the captures of a temporary lambda twice in a co_await");
    return wait_until<std::decay_t<Predicate>>(lock, std::forward<Predicate>(holds));
  }

  /// Ends the wait of the task that has waited longest.
  void notify_one() noexcept {
    lock_.lock();
    detail::listed_waiter* const oldest = waiters_.take();
    if (oldest != nullptr) mark_notified(*oldest);
    lock_.unlock();
    if (oldest != nullptr) pass_on(*oldest);
  }

  /// Ends the wait of all. They have the mutex one after the other, in the order of their coming.
  void notify_all() noexcept {
    lock_.lock();
    detail::listed_waiter* next = waiters_.take_all();
    for (detail::listed_waiter* w = next; w != nullptr; w = w->behind) mark_notified(*w);
    lock_.unlock();
    while (next != nullptr) pass_on(*std::exchange(next, next->behind));
  }

private:
  friend detail::condition_wait;

  template <class Predicate>
  task<> wait_until(mutex_lock& lock, Predicate holds) {
    while (!holds()) {
      co_await wait(lock);
    }
  }

  static void mark_notified(detail::listed_waiter& w) noexcept {
    static_cast<detail::condition_wait&>(w).state_ = detail::condition_wait::state::notified;
  }
  static void pass_on(detail::listed_waiter& w) noexcept {
    if (static_cast<detail::condition_wait&>(w).take_mutex()) w.complete();
  }

  detail::spin_lock lock_;
  detail::waiter_list waiters_;
};

namespace detail {

inline bool condition_wait::start(worker&) noexcept {
  const std::lock_guard guard(condition_->lock_);
  *queued_ = true;
  condition_->waiters_.push(*this);
  return true;
}

inline bool condition_wait::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<condition_wait&>(op);
  condition_variable& c = *self.condition_;
  c.lock_.lock();
  const bool waits = self.state_ == state::waits;
  if (waits) {
    c.waiters_.remove(self);
    self.state_ = state::withdrawn;
  }
  c.lock_.unlock();
  return waits && self.take_mutex();
}

}  // namespace detail

}  // namespace weft

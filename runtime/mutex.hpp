// SPDX-License-Identifier: MIT
#pragma once
// mutex: one task at a time, in the order of asking. Held across a co_await it keeps other tasks
// out but blocks no thread: the worker goes on with tasks that do not want it. It is a semaphore of
// one permit, under the name and with the guard that one expects.

#include "weft/runtime/semaphore.hpp"

#include <optional>
#include <source_location>
#include <utility>

namespace weft {

/// A locked mutex; unlocks it when it is destroyed.
///
/// Thread:   may be destroyed on another worker than took it.
/// Lifetime: the mutex outlives it.
class [[nodiscard]] mutex_lock {
public:
  static constexpr const char* acquire_name = "mutex::lock";
  static constexpr bool exclusive = true;

  mutex_lock(mutex_lock&& other) noexcept : one_(std::exchange(other.one_, nullptr)) {}
  mutex_lock& operator=(mutex_lock&& other) noexcept {
    semaphore* const taken = std::exchange(other.one_, nullptr);
    unlock();
    one_ = taken;
    return *this;
  }
  ~mutex_lock() { unlock(); }

  /// Unlocks early.
  void unlock() noexcept {
    if (semaphore* const s = std::exchange(one_, nullptr)) s->release();
  }

  /// Adopts a permit that was taken.
  explicit mutex_lock(semaphore& s) noexcept : one_(&s) {}

private:
  friend class condition_variable;

  semaphore* one_;
};

/// Mutual exclusion between tasks.
///
/// Thread:   any worker of any scheduler.
/// Lifetime: outlives its locks and waiters. Who has locked it, and knows that nobody else will,
///           may destroy it after the unlock.
/// Cost:     locking a free mutex neither suspends nor allocates.
class mutex {
public:
  mutex() noexcept = default;

  /// `auto lock = co_await m.lock();`
  ///
  /// Errors: cancelled, and the mutex was not taken.
  [[nodiscard]] detail::permit_acquire<mutex_lock> lock() noexcept {
    return detail::permit_acquire<mutex_lock>(one_);
  }

  [[nodiscard]] std::optional<mutex_lock>
  try_lock(std::source_location where = std::source_location::current()) noexcept {
    std::optional<mutex_lock> taken;
    if (one_.take_one(where, 1)) taken.emplace(one_);
    return taken;
  }

private:
  semaphore one_{1};
};

}  // namespace weft

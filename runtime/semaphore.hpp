// SPDX-License-Identifier: MIT
#pragma once
// semaphore: a number of permits. First come, first served: a permit that is given back goes to the
// task that has waited longest, and nobody overtakes it.

#include "weft/runtime/waiter_list.hpp"

#include <cstddef>
#include <mutex>
#include <optional>
#include <source_location>
#include <utility>

namespace weft {

class semaphore;

namespace detail {
class condition_wait;
}

/// One permit of a semaphore; gives it back when it is destroyed.
///
/// Lifetime: the semaphore outlives it.
class [[nodiscard]] semaphore_permit {
public:
  static constexpr const char* acquire_name = "semaphore::acquire";

  semaphore_permit(semaphore_permit&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)) {}
  semaphore_permit& operator=(semaphore_permit&& other) noexcept {
    semaphore* const taken = std::exchange(other.owner_, nullptr);
    release();
    owner_ = taken;
    return *this;
  }
  ~semaphore_permit() { release(); }

  /// Gives the permit back early.
  void release() noexcept;

  /// Whose permit it is; nullptr once it has been given back.
  semaphore* owner() const noexcept { return owner_; }

  /// Takes over a permit that was acquired already.
  explicit semaphore_permit(semaphore& owner) noexcept : owner_(&owner) {}

private:
  semaphore* owner_;
};

namespace detail {

/// Takes a permit and wraps it into a Guard: semaphore_permit, mutex_lock.
template <class Guard>
class permit_acquire : public awaitable_operation<permit_acquire<Guard>, Guard, listed_waiter> {
public:
  static constexpr const char* name = Guard::acquire_name;

  explicit permit_acquire(semaphore& s) noexcept : semaphore_(&s) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  void describe(wait_note& note) const noexcept;
  result<Guard> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return Guard(*semaphore_);
  }

private:
  semaphore* semaphore_;
  plain<bool> withdrawn_ = false;
};

}  // namespace detail

/// Permits that tasks wait for.
///
/// Thread:   any; plain threads may release and try_acquire.
/// Lifetime: outlives its permits and waiters.
/// Cost:     an acquire that finds a permit neither suspends nor allocates.
class semaphore {
public:
  /// `permits`: how many tasks may hold one at a time.
  explicit semaphore(std::size_t permits) noexcept : permits_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() {
    WEFT_ASSERT(waiters_.empty(), "a semaphore was destroyed while tasks wait for it");
  }

  /// Errors: cancelled, and no permit was taken.
  [[nodiscard]] detail::permit_acquire<semaphore_permit> acquire() noexcept {
    return detail::permit_acquire<semaphore_permit>(*this);
  }

  /// A permit, when there is one at once.
  [[nodiscard]] std::optional<semaphore_permit>
  try_acquire(std::source_location where = std::source_location::current()) noexcept {
    if (!take_one(where)) return std::nullopt;
    return semaphore_permit(*this);
  }

  /// Takes a permit without a guard: release() gives it back. False when there is none.
  [[nodiscard]] bool
  take_one(std::source_location where = std::source_location::current()) noexcept {
    const std::lock_guard guard(lock_);
    if (permits_ == 0) return false;
    --permits_;
    taken_at_ = where;
    return true;
  }

  /// Adds a permit, or gives one back that was taken without its guard.
  void release() noexcept {
    lock_.lock();
    detail::listed_waiter* const next = waiters_.take();
    if (next == nullptr) {
      WEFT_ASSERT(permits_ + 1 != 0, "a semaphore was released more often than it can count");
      ++permits_;
    } else {
      taken_at_ = next->promise->line;
    }
    lock_.unlock();
    if (next != nullptr) next->complete();
  }

  /// Permits that nobody holds, a moment ago.
  std::size_t available() const noexcept {
    const std::lock_guard guard(lock_);
    return permits_;
  }

private:
  template <class Guard>
  friend class detail::permit_acquire;
  friend detail::condition_wait;

  /// Takes a permit, or queues `w` for the next one: false.
  [[nodiscard]] bool take_one_or_queue(detail::listed_waiter& w) noexcept {
    const std::lock_guard guard(lock_);
    if (permits_ != 0) {
      --permits_;
      taken_at_ = w.promise->line;
      return true;
    }
    waiters_.push(w);
    return false;
  }

  mutable detail::spin_lock lock_;
  detail::plain<std::size_t> permits_;  // not zero only while nobody waits
  std::source_location taken_at_{};     // the last permit that was taken; for reports
  detail::waiter_list waiters_;
};

inline void semaphore_permit::release() noexcept {
  if (semaphore* const s = std::exchange(owner_, nullptr)) s->release();
}

namespace detail {

template <class Guard>
bool permit_acquire<Guard>::try_now(worker&) noexcept {
  return semaphore_->take_one(this->promise->line);
}

template <class Guard>
bool permit_acquire<Guard>::start(worker&) noexcept {
  return !semaphore_->take_one_or_queue(*this);
}

template <class Guard>
void permit_acquire<Guard>::describe(wait_note& note) const noexcept {
  const std::lock_guard guard(semaphore_->lock_);
  note.holder = semaphore_->taken_at_;
}

template <class Guard>
bool permit_acquire<Guard>::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<permit_acquire&>(op);
  self.withdrawn_ = withdraw_waiter(self, self.semaphore_->lock_);
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// shared_mutex: one task alone, or any number that share. First come, first served: who wants it
// alone waits for those who have it and stops those who come later, so that readers cannot starve a
// writer. Readers that wait beside each other get in together.

#include "weft/runtime/waiter_list.hpp"

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace weft {

class shared_mutex;

namespace detail {
enum class mutex_access : unsigned char { exclusive, shared };
}

/// A locked shared_mutex; unlocks it when it is destroyed.
///
/// Thread:   may be destroyed on another worker than took it.
/// Lifetime: the shared_mutex outlives it.
template <detail::mutex_access Access>
class [[nodiscard]] shared_mutex_lock {
public:
  static constexpr const char* acquire_name = Access == detail::mutex_access::exclusive
                                                  ? "shared_mutex::lock"
                                                  : "shared_mutex::lock_shared";

  shared_mutex_lock(shared_mutex_lock&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)) {}
  shared_mutex_lock& operator=(shared_mutex_lock&& other) noexcept {
    shared_mutex* const taken = std::exchange(other.owner_, nullptr);
    unlock();
    owner_ = taken;
    return *this;
  }
  ~shared_mutex_lock() { unlock(); }

  /// Unlocks early.
  void unlock() noexcept;

  /// Takes over a lock that was taken already.
  explicit shared_mutex_lock(shared_mutex& owner) noexcept : owner_(&owner) {}

private:
  shared_mutex* owner_;
};

/// Holds a shared_mutex alone.
using exclusive_lock = shared_mutex_lock<detail::mutex_access::exclusive>;
/// Holds a shared_mutex together with other shared_locks.
using shared_lock = shared_mutex_lock<detail::mutex_access::shared>;

namespace detail {

struct shared_mutex_waiter : listed_waiter {
  using listed_waiter::listed_waiter;
  mutex_access wanted = mutex_access::exclusive;
};

template <mutex_access Access>
class shared_mutex_acquire
    : public awaitable_operation<shared_mutex_acquire<Access>, shared_mutex_lock<Access>,
                                 shared_mutex_waiter> {
public:
  static constexpr const char* name = shared_mutex_lock<Access>::acquire_name;

  explicit shared_mutex_acquire(shared_mutex& m) noexcept : mutex_(&m) { this->wanted = Access; }

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<shared_mutex_lock<Access>> finish() noexcept;

private:
  shared_mutex* mutex_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// Mutual exclusion between tasks that write, and between them and tasks that read.
///
/// Thread:   any worker of any scheduler; plain threads may try_lock and unlock.
/// Lifetime: outlives its locks and waiters.
/// Cost:     taking what is free neither suspends nor allocates.
class shared_mutex {
public:
  shared_mutex() noexcept = default;
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;
  ~shared_mutex() {
    WEFT_ASSERT(waiters_.empty(),
                "a shared_mutex was destroyed while tasks wait for it: join them first");
    WEFT_ASSERT(holders_ == 0,
                "a shared_mutex was destroyed while it is locked: declare it before its locks");
  }

  /// Takes it alone: `auto lock = co_await m.lock();`
  ///
  /// Errors: cancelled, and it was not taken; those who wait behind are let through.
  [[nodiscard]] detail::shared_mutex_acquire<detail::mutex_access::exclusive> lock() noexcept {
    return detail::shared_mutex_acquire<detail::mutex_access::exclusive>(*this);
  }
  /// Takes it together with others: `auto lock = co_await m.lock_shared();`
  ///
  /// Errors: cancelled, and it was not taken.
  [[nodiscard]] detail::shared_mutex_acquire<detail::mutex_access::shared> lock_shared() noexcept {
    return detail::shared_mutex_acquire<detail::mutex_access::shared>(*this);
  }

  /// Without waiting, and never past those who wait.
  [[nodiscard]] std::optional<exclusive_lock> try_lock() noexcept {
    std::optional<exclusive_lock> taken;
    if (try_take(detail::mutex_access::exclusive)) taken.emplace(*this);
    return taken;
  }
  /// Without waiting, and never past those who wait.
  [[nodiscard]] std::optional<shared_lock> try_lock_shared() noexcept {
    std::optional<shared_lock> taken;
    if (try_take(detail::mutex_access::shared)) taken.emplace(*this);
    return taken;
  }

private:
  template <detail::mutex_access Access>
  friend class shared_mutex_lock;
  template <detail::mutex_access Access>
  friend class detail::shared_mutex_acquire;

  static constexpr std::size_t alone = static_cast<std::size_t>(-1);

  bool try_take(detail::mutex_access wanted) noexcept {
    const std::lock_guard guard(lock_);
    return waiters_.empty() && admit(wanted);
  }
  void release() noexcept {
    lock_.lock();
    holders_ = holders_ == alone ? 0 : holders_ - 1;
    detail::listed_waiter* const all = admit_waiters();
    lock_.unlock();
    detail::complete_all(all);
  }
  void let_through() noexcept {
    lock_.lock();
    detail::listed_waiter* const all = admit_waiters();
    lock_.unlock();
    detail::complete_all(all);
  }
  /// With the lock: whom those who have it and those in front of them do not keep out.
  detail::listed_waiter* admit_waiters() noexcept {
    detail::waiter_list admitted;
    while (detail::listed_waiter* const next = waiters_.front()) {
      if (!admit(static_cast<detail::shared_mutex_waiter*>(next)->wanted)) break;
      waiters_.remove(*next);
      admitted.push(*next);
    }
    return admitted.take_all();
  }
  /// With the lock.
  bool admit(detail::mutex_access wanted) noexcept {
    if (wanted == detail::mutex_access::exclusive) {
      if (holders_ != 0) return false;
      holders_ = alone;
    } else {
      if (holders_ == alone) return false;
      ++holders_;
    }
    return true;
  }

  detail::spin_lock lock_;
  std::size_t holders_ = 0;  // how many share it, or `alone`
  detail::waiter_list waiters_;
};

template <detail::mutex_access Access>
void shared_mutex_lock<Access>::unlock() noexcept {
  if (shared_mutex* const m = std::exchange(owner_, nullptr)) m->release();
}

namespace detail {

template <mutex_access Access>
bool shared_mutex_acquire<Access>::try_now(worker&) noexcept {
  return mutex_->try_take(Access);
}

template <mutex_access Access>
bool shared_mutex_acquire<Access>::start(worker&) noexcept {
  const std::lock_guard guard(mutex_->lock_);
  if (mutex_->waiters_.empty() && mutex_->admit(Access)) return false;
  mutex_->waiters_.push(*this);
  return true;
}

template <mutex_access Access>
bool shared_mutex_acquire<Access>::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<shared_mutex_acquire&>(op);
  self.withdrawn_ = withdraw_waiter(self, self.mutex_->lock_);
  return self.withdrawn_;
}

template <mutex_access Access>
result<shared_mutex_lock<Access>> shared_mutex_acquire<Access>::finish() noexcept {
  if (withdrawn_) {
    mutex_->let_through();  // here, not in withdraw(): that holds the locks of a cancel
    return failure{cancelled_code()};
  }
  return shared_mutex_lock<Access>(*mutex_);
}

}  // namespace detail

}  // namespace weft

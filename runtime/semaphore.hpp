// SPDX-License-Identifier: MIT
#pragma once
// semaphore: a number of permits. First come, first served: a permit that is given back goes to the
// task that has waited longest, and nobody overtakes it.
//
// One word says how many permits are free, and whether they are `awaited`, which changes under the
// lock only: as long as a task is queued they are. Who gives a permit adds it to the word, and that
// is all unless it is awaited: then nobody takes permits out of the word but those who have given
// them since, each of them one, under the lock, for the task that has waited longest. So the
// permits in an awaited word are as many as have still to be passed on, and who has them all may
// destroy the semaphore. What is passed on to nobody, since a cancel came first, is spare until
// nothing is to be passed on any more: then it goes back into the word.
//   M1: give (release) -> take (acquire): hands over what the permit guards. Those who give or take
//       in between continue the release sequence. Who passes a permit on has given one.

#include "weft/runtime/waiter_list.hpp"

#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>
#include <source_location>
#include <utility>

namespace weft {

class mutex;
class mutex_lock;
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
  static constexpr bool exclusive = false;

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
  /// `permits`: how many tasks may hold one at a time; as many as can be counted is no limit.
  explicit semaphore(std::size_t permits) noexcept : word_(permits < most ? permits : most) {}
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
    return take_one(where, guess());
  }

  /// Adds a permit, or gives one back that was taken without its guard.
  void release() noexcept {
    if (is_awaited(give(1))) [[unlikely]]
      pass_on();
  }

  /// Permits that nobody holds, a moment ago.
  std::size_t available() const noexcept {
    const std::size_t n = guess();
    return is_awaited(n) ? 0 : n;
  }

private:
  template <class Guard>
  friend class detail::permit_acquire;
  friend detail::condition_wait;
  friend mutex;

  static constexpr auto awaited = std::size_t{1} << (std::numeric_limits<std::size_t>::digits - 1);
  static constexpr auto most = awaited / 2;  // nobody adds as many again one by one

  static bool is_awaited(std::size_t n) noexcept { return n >= awaited; }

  std::size_t guess() const noexcept {
    return word_.load(std::memory_order_relaxed);  // relaxed: the CAS finds out
  }

  /// `n`: what the word probably is. Who knows spares itself a load, which would have to wait for
  /// the atomic operation before it.
  [[nodiscard]] bool take_one(std::source_location where, std::size_t n) noexcept {
    while (n != 0 && !is_awaited(n)) {
      if (try_take(n)) {
        note_taken(where);
        return true;
      }
    }
    return false;
  }

  // The transitions of the word; those that may fail say then what it is.
  [[nodiscard]] bool try_take(std::size_t& n) noexcept {
    return word_.compare_exchange_weak(n, n - 1, std::memory_order_acquire,  // sync: M1
                                       std::memory_order_relaxed);
  }
  /// What it was before.
  std::size_t give(std::size_t permits) noexcept {
    return word_.fetch_add(permits, std::memory_order_release);  // sync: M1
  }
  /// From no permit. Under the lock.
  [[nodiscard]] bool try_await(std::size_t& n) noexcept {
    return word_.compare_exchange_weak(n, awaited, std::memory_order_relaxed,  // relaxed: the lock
                                       std::memory_order_relaxed);
  }
  /// Takes out what the caller gave to an awaited word. Under the lock. True when permits are not
  /// awaited any more: nobody is queued and nothing is to be passed on.
  [[nodiscard]] bool take_out() noexcept {
    // relaxed: the lock; the caller has seen what comes with its own permit
    std::size_t n = word_.fetch_sub(1, std::memory_order_relaxed) - 1;
    return n == awaited && waiters_.empty() &&
           word_.compare_exchange_strong(n, 0, std::memory_order_relaxed,  // relaxed: the lock
                                         std::memory_order_relaxed);
  }

  void note_taken(std::source_location where) noexcept {
    taken_at_.store(where, std::memory_order_relaxed);  // relaxed: for reports
  }

  /// Takes a permit, or queues `w` for the next one: false.
  [[nodiscard]] bool take_one_or_queue(detail::listed_waiter& w) noexcept;
  /// Hands the permit that the caller gave to who has waited longest.
  [[gnu::noinline]] void pass_on() noexcept;

  detail::atomic<std::size_t> word_;
  std::atomic<std::source_location> taken_at_{};  // the last permit that was taken
  detail::spin_lock lock_;
  // Guarded by lock_.
  detail::waiter_list waiters_;
  detail::plain<std::size_t> spare_{0};
};

inline void semaphore_permit::release() noexcept {
  if (semaphore* const s = std::exchange(owner_, nullptr)) s->release();
}

namespace detail {

template <class Guard>
bool permit_acquire<Guard>::try_now(worker&) noexcept {
  if constexpr (Guard::exclusive)
    return semaphore_->take_one(this->promise->line, 1);
  else
    return semaphore_->take_one(this->promise->line);
}

template <class Guard>
bool permit_acquire<Guard>::start(worker&) noexcept {
  return !semaphore_->take_one_or_queue(*this);
}

template <class Guard>
void permit_acquire<Guard>::describe(wait_note& note) const noexcept {
  note.holder = semaphore_->taken_at_.load(std::memory_order_relaxed);  // relaxed: for reports
}

template <class Guard>
bool permit_acquire<Guard>::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<permit_acquire&>(op);
  self.withdrawn_ = withdraw_waiter(self, self.semaphore_->lock_);
  return self.withdrawn_;
}

}  // namespace detail

}  // namespace weft

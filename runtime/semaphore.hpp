// SPDX-License-Identifier: MIT
#pragma once
// semaphore: a number of permits. First come, first served: a permit that is given back goes to the
// task that has waited longest, and nobody overtakes it.
//
// The word is the number of free permits, or it is awaited: its highest bit is set, and the rest
// means nothing. While a task is queued it is awaited; the converse need not hold. It becomes
// awaited, and a number again, under the lock only. Who gives a permit adds one to the word, and
// that is all when it was a number. When it was awaited the permit is the giver's still: under the
// lock it hands it to the task that has waited longest. Where nobody is queued (a cancel, or
// another giver, came first) the word becomes a number again, and the permit is given once more.
// Nobody else can have it meanwhile: so who holds all permits knows that no release will touch the
// semaphore again, and may destroy it.
//   M1: give (release) -> take (acquire): hands over what the permit guards. Those who give or take
//       in between continue the release sequence. Who passes a permit on has given one.

#include "weft/runtime/detail/back_off.hpp"
#include "weft/runtime/waiter_list.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <source_location>
#include <utility>

namespace weft {

class mutex;
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
/// Lifetime: outlives its permits and waiters. Who has held all permits at once, and knows that
///           nobody asks for one any more, may destroy it.
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

  /// A permit, when there is one at once and nobody waits for it.
  [[nodiscard]] std::optional<semaphore_permit>
  try_acquire(std::source_location where = std::source_location::current()) noexcept {
    if (!take_one(where)) return std::nullopt;
    return semaphore_permit(*this);
  }

  /// Takes a permit without a guard: release() gives it back. False when there is none, or tasks
  /// wait.
  [[nodiscard]] bool
  take_one(std::source_location where = std::source_location::current()) noexcept {
    return take_one(where, guess());
  }

  /// Adds a permit, or gives one back that was taken without its guard.
  void release() noexcept {
    while (is_awaited(give()) && !pass_on()) [[unlikely]] {}
  }

  /// Permits that nobody holds, a moment ago.
  std::size_t available() const noexcept {
    const std::uint64_t n = guess();
    return is_awaited(n) ? 0 : static_cast<std::size_t>(n);
  }

private:
  template <class Guard>
  friend class detail::permit_acquire;
  friend detail::condition_wait;
  friend mutex;

  static constexpr std::uint64_t awaited = std::uint64_t{1} << 63;
  static constexpr std::uint64_t most = awaited / 2;  // nobody adds as many again one by one

  static bool is_awaited(std::uint64_t n) noexcept { return n >= awaited; }

  std::uint64_t guess() const noexcept {
    return word_.load(std::memory_order_relaxed);  // relaxed: a CAS finds out, or the lock is held
  }

  /// `n`: what the word probably is. Who knows spares itself a load, which would have to wait for
  /// the atomic operation before it.
  [[nodiscard]] bool take_one(std::source_location where, std::uint64_t n) noexcept {
    while (n != 0 && !is_awaited(n)) {
      if (try_take(n)) {
        note_taken(where);
        return true;
      }
    }
    return false;
  }

  // The transitions of the word; those that may fail say then what it is.
  [[nodiscard]] bool try_take(std::uint64_t& n) noexcept {
    return word_.compare_exchange_weak(n, n - 1, std::memory_order_acquire,  // sync: M1
                                       std::memory_order_relaxed);
  }
  /// What it was before: when that is awaited, pass_on() follows.
  std::uint64_t give() noexcept {
    return word_.fetch_add(1, std::memory_order_release);  // sync: M1
  }
  /// From no permit. Under the lock.
  [[nodiscard]] bool try_await(std::uint64_t& n) noexcept {
    return word_.compare_exchange_weak(n, awaited, std::memory_order_relaxed,  // relaxed: the lock
                                       std::memory_order_relaxed);
  }
  /// What was added to the awaited word is with those who added it. Under the lock.
  void await_no_more() noexcept {
    if (is_awaited(guess()))
      word_.store(0, std::memory_order_relaxed);  // relaxed: nothing is given
  }

  void note_taken(std::source_location where) noexcept {
    taken_at_.store(where, std::memory_order_relaxed);  // relaxed: for reports
  }

  /// Takes a permit, or queues `w` for the next one: false.
  [[nodiscard]] bool take_one_or_queue(detail::listed_waiter& w) noexcept;
  /// Hands the permit that the caller gave to who has waited longest. False when nobody waits any
  /// more.
  [[nodiscard, gnu::noinline]] bool pass_on() noexcept;

  detail::atomic<std::uint64_t> word_;
  std::atomic<std::source_location> taken_at_{};  // the last permit that was taken
  detail::back_off_lock lock_;
  detail::waiter_list waiters_;  // guarded by lock_
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

// SPDX-License-Identifier: MIT
#pragma once
// A worker's timers as the others see them: it alone inserts and expires, but any worker of its
// scheduler may take a timer out, since a task that waits with a deadline may be resumed elsewhere,
// and since a cancel must not wait for a worker that computes. The lock is a no-op on an event
// loop.
//
// A timer leaves the queue once: through remove(), or through pop_expired(), after which the owner
// expires it without the lock. Who gets false from remove() leaves the rest to that.

#include "weft/runtime/spin_lock.hpp"
#include "weft/runtime/timer_queue.hpp"

#include <cstdint>

namespace weft::detail {

struct worker;

/// A timer and what to do when it is due.
struct worker_timer : timer {
  /// Thread: the owner, from its loop.
  void (*expire)(worker_timer&, worker&) noexcept = nullptr;
};

class worker_timers {
public:
  explicit worker_timers(bool shared) noexcept : shared_(shared) {}

  /// Thread: owner.
  void insert(worker_timer& t) noexcept {
    const lock_if_shared guard(lock_, shared_);
    queue_.insert(t);
  }

  /// False when it is not queued (any more). Thread: any worker of the scheduler.
  [[nodiscard]] bool remove(worker_timer& t) noexcept {
    const lock_if_shared guard(lock_, shared_);
    if (!t.queued()) return false;
    queue_.remove(t);
    return true;
  }

  /// The next one that is due, or nullptr. Thread: owner.
  [[nodiscard]] worker_timer* pop_expired(std::int64_t now_ns) noexcept {
    const lock_if_shared guard(lock_, shared_);
    return static_cast<worker_timer*>(queue_.pop_expired(now_ns));
  }

  /// Thread: any worker of the scheduler.
  [[nodiscard]] std::int64_t next_deadline() noexcept {
    const lock_if_shared guard(lock_, shared_);
    return queue_.next_deadline();
  }

private:
  spin_lock lock_;
  const bool shared_;
  timer_queue queue_;
};

}  // namespace weft::detail

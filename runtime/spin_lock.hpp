// SPDX-License-Identifier: MIT
#pragma once

// A lock of one byte for critical sections of a few instructions that never run user code, never
// allocate and never wait. Meets std::lock_guard's requirements. Not fair and not recursive.
// Who must wait spins a bounded number of times on a plain load, then yields the processor between
// looks, so that a holder that was preempted gets to run even where there is one processor.
//
// R1: unlock stores false (release) -> lock/try_lock exchange (acquire): hands over what the lock
// guards.

#include "weft/runtime/atomics.hpp"

#include <atomic>

namespace weft::detail {

class spin_lock {
public:
  spin_lock() noexcept = default;
  spin_lock(const spin_lock&) = delete;
  spin_lock& operator=(const spin_lock&) = delete;

  void lock() noexcept {
    if (!try_lock()) [[unlikely]] {
      lock_contended();
    }
  }

  [[nodiscard]] bool try_lock() noexcept {
    return !locked_.exchange(true, std::memory_order_acquire);  // sync: R1
  }

  void unlock() noexcept { locked_.store(false, std::memory_order_release); }  // sync: R1

private:
  [[gnu::cold, gnu::noinline]] void lock_contended() noexcept;

  atomic<bool> locked_{false};
};

static_assert(sizeof(spin_lock) == sizeof(atomic<bool>) && sizeof(std::atomic<bool>) == 1);

/// Locks on a pool only: on an event loop everything that takes the lock is on one thread.
class lock_if_shared {
public:
  lock_if_shared(spin_lock& l, bool shared) noexcept : lock_(shared ? &l : nullptr) {
    if (lock_ != nullptr) lock_->lock();
  }
  ~lock_if_shared() {
    if (lock_ != nullptr) lock_->unlock();
  }
  lock_if_shared(const lock_if_shared&) = delete;
  lock_if_shared& operator=(const lock_if_shared&) = delete;

private:
  spin_lock* const lock_;
};

}  // namespace weft::detail

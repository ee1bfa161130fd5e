// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

namespace weft {

bool semaphore::take_one_or_queue(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  std::size_t n = guess();
  while (n != awaited) {
    // sync: M1, when there is a permit
    if (!word_.compare_exchange_weak(n, n != 0 ? n - 1 : awaited, std::memory_order_acquire,
                                     std::memory_order_relaxed))
      continue;
    if (n == 0) break;
    note_taken(w.promise->line);
    return true;
  }
  waiters_.push(w);
  return false;
}

std::size_t semaphore::pass_on() noexcept {
  detail::listed_waiter* next = nullptr;
  {
    const std::lock_guard guard(lock_);
    next = waiters_.take();
    if (next == nullptr) return guess();
    // relaxed: the lock keeps it, and complete() hands over what the permit guards
    if (waiters_.empty()) word_.store(0, std::memory_order_relaxed);
    note_taken(next->promise->line);
  }
  next->complete();
  return awaited;
}

bool semaphore::withdraw(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  if (w.list == nullptr) return false;
  waiters_.remove(w);
  if (waiters_.empty()) word_.store(0, std::memory_order_relaxed);  // relaxed: nothing is given
  return true;
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

namespace weft {

bool semaphore::take_one_or_queue(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  std::size_t n = guess();
  while (n != awaited) {
    if (n == 0) {
      if (try_await(n)) break;
    } else if (try_take(n)) {
      note_taken(w.promise->line);
      return true;
    }
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
    if (waiters_.empty()) await_no_more();
    note_taken(next->promise->line);
  }
  next->complete();  // hands over what the permit guards
  return awaited;
}

bool semaphore::withdraw(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  if (w.list == nullptr) return false;
  waiters_.remove(w);
  if (waiters_.empty()) await_no_more();
  return true;
}

}  // namespace weft

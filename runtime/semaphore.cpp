// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

namespace weft {

bool semaphore::take_one_or_queue(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  std::uint64_t n = guess();
  while (!is_awaited(n)) {
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

bool semaphore::pass_on() noexcept {
  detail::listed_waiter* next = nullptr;
  {
    const std::lock_guard guard(lock_);
    next = waiters_.take();
    if (waiters_.empty()) await_no_more();
    if (next != nullptr) note_taken(next->promise->line);
  }
  if (next == nullptr) return false;
  next->complete();  // hands over what the permit guards
  return true;
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

namespace weft {

bool semaphore::take_one_or_queue(detail::listed_waiter& w) noexcept {
  const std::lock_guard guard(lock_);
  std::size_t n = guess();
  while (!is_awaited(n)) {
    if (n == 0) {
      if (try_await(n)) break;
    } else if (try_take(n)) {
      note_taken(w.promise->line);
      return true;
    }
  }
  if (spare_ != 0) {
    spare_ = spare_ - 1;
    note_taken(w.promise->line);
    return true;
  }
  waiters_.push(w);
  return false;
}

void semaphore::pass_on() noexcept {
  std::size_t given = 1;
  while (given != 0) {
    detail::listed_waiter* next = nullptr;
    std::size_t nobodys = 0;
    {
      const std::lock_guard guard(lock_);
      next = waiters_.take();
      if (next != nullptr)
        note_taken(next->promise->line);
      else
        spare_ = spare_ + 1;
      if (take_out()) {
        nobodys = spare_;
        spare_ = 0;
      }
    }
    --given;
    if (next != nullptr) next->complete();  // hands over what the permit guards
    if (nobodys != 0 && is_awaited(give(nobodys))) given = nobodys;
  }
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// The FIFO of those who wait for a synchronisation object, and its lock. Intrusive: waiting
// allocates nothing. Whoever is taken off the list has been granted what it waited for; whoever is
// withdrawn by a cancel was never granted anything. Both happen under the object's lock, so it is
// one or the other. Grants are told to the waiters after the lock has been let go: nobody is
// resumed under it.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/spin_lock.hpp"

namespace weft::detail {

class waiter_list;

struct listed_waiter : waiter {
  explicit listed_waiter(before_waiting b) noexcept : waiter(b) {}
  listed_waiter(const listed_waiter& other) noexcept : waiter(other) {}
  listed_waiter& operator=(const listed_waiter&) = delete;

  void set_up(const operation_kind& k) noexcept {
    waiter::set_up(k);
    list = nullptr;
  }

  plain<waiter_list*> list;  // null: not queued, or granted
  plain<listed_waiter*> before;
  plain<listed_waiter*> behind;
};

/// Guarded by the object's lock.
class waiter_list {
public:
  bool empty() const noexcept { return oldest_ == nullptr; }
  /// The oldest, still queued, or nullptr.
  listed_waiter* front() const noexcept { return oldest_; }

  void push(listed_waiter& w) noexcept {
    w.list = this;
    w.before = newest_;
    w.behind = nullptr;
    (newest_ != nullptr ? newest_->behind : oldest_) = &w;
    newest_ = &w;
  }
  void remove(listed_waiter& w) noexcept {
    (w.before != nullptr ? w.before->behind : oldest_) = w.behind;
    (w.behind != nullptr ? w.behind->before : newest_) = w.before;
    w.list = nullptr;
  }
  /// The oldest, or nullptr.
  listed_waiter* take() noexcept {
    listed_waiter* const w = oldest_;
    if (w != nullptr) remove(*w);
    return w;
  }
  /// All of them, linked through `behind`; complete_all() tells them.
  listed_waiter* take_all() noexcept {
    listed_waiter* const all = oldest_;
    for (listed_waiter* w = all; w != nullptr; w = w->behind) w->list = nullptr;
    oldest_ = newest_ = nullptr;
    return all;
  }

private:
  plain<listed_waiter*> oldest_ = nullptr;
  plain<listed_waiter*> newest_ = nullptr;
};

/// Without the object's lock. The waiters may be gone when this returns.
inline void complete_all(listed_waiter* oldest) noexcept {
  while (oldest != nullptr) {
    listed_waiter* const next = oldest->behind;
    oldest->complete();
    oldest = next;
  }
}

/// Takes a waiter out of its queue before it was granted anything.
template <class Lock>
bool withdraw_waiter(listed_waiter& w, Lock& lock) noexcept {
  lock.lock();
  const bool queued = w.list != nullptr;
  if (queued) w.list->remove(w);
  lock.unlock();
  return queued;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The FIFO of woken, spawned and yielding tasks of one worker. Intrusive: a push never allocates
// and never fails. On an event loop nothing is locked; on a pool a spin lock covers the list,
// because thieves take from it, and `size_` tells them without the lock whether a look is worth it.
//
//   Q1: push stores size_ (seq_cst), then the pusher reads the idle word (seq_cst)
//       | a worker announces its sleep (seq_cst), then reads size_ (seq_cst):
//       either the pusher sees the sleeper or the sleeper sees the task.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/prefetch.hpp"
#include "weft/runtime/spin_lock.hpp"
#include "weft/runtime/suspended.hpp"

#include <atomic>
#include <cstddef>

namespace weft::detail {

template <class Atomics = std_atomics, class Lock = spin_lock>
class basic_ready_queue {
public:
  static constexpr std::size_t steal_max = 32;

  // For the one thread of an event loop.
  void push_unshared(suspended& s) noexcept {
    link(s);
    ++count_;
  }
  suspended* take_unshared() noexcept {
    suspended* const s = unlink();
    if (s != nullptr) --count_;
    return s;
  }

  // For a pool. Thread: any worker.
  void push(suspended& s) noexcept {
    lock_.lock();
    link(s);
    size_.store(++count_, std::memory_order_seq_cst);  // sync: Q1
    lock_.unlock();
  }
  suspended* take() noexcept {
    if (size_.load(std::memory_order_relaxed) == 0) return nullptr;  // relaxed: the lock decides
    lock_.lock();
    suspended* const s = unlink();
    if (s != nullptr) size_.store(--count_, std::memory_order_relaxed);  // relaxed: Q1 is push's
    lock_.unlock();
    return s;
  }
  /// Moves the older half (at most steal_max) from `victim` to this queue; one of them is returned.
  suspended* steal_from(basic_ready_queue& victim) noexcept {
    if (victim.empty()) return nullptr;
    victim.lock_.lock();
    std::size_t n = (victim.count_ + 1) / 2;
    if (n > steal_max) n = steal_max;
    basic_ready_queue loot;
    for (std::size_t i = 0; i < n; ++i) loot.push_unshared(*victim.unlink());
    victim.count_ -= n;
    victim.size_.store(victim.count_, std::memory_order_relaxed);  // relaxed: as in take
    victim.lock_.unlock();
    suspended* const first = loot.take_unshared();
    while (suspended* const s = loot.take_unshared()) push(*s);
    return first;
  }
  bool empty() const noexcept {
    return size_.load(std::memory_order_seq_cst) == 0;  // sync: Q1
  }

private:
  void link(suspended& s) noexcept {
    s.next = nullptr;
    if (tail_ == nullptr)
      head_ = &s;
    else
      tail_->next = &s;
    tail_ = &s;
  }
  suspended* unlink() noexcept {
    suspended* const s = head_;
    if (s == nullptr) return nullptr;
    head_ = s->next;
    if (head_ == nullptr) tail_ = nullptr;
    // The next one's frame may be cold: it comes closer while this one runs.
    prefetch(head_);
    prefetch(head_, -1);
    return s;
  }

  suspended* head_ = nullptr;
  suspended* tail_ = nullptr;
  std::size_t count_ = 0;
  Lock lock_;
  typename Atomics::template atomic<std::size_t> size_{0};
};

using ready_queue = basic_ready_queue<>;

}  // namespace weft::detail

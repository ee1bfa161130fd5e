// SPDX-License-Identifier: MIT
#pragma once
// The FIFO of woken, spawned and yielding tasks of one worker. A push never allocates and never
// fails: the oldest tasks stand in a ring of pointers, and where that is full the others are linked
// through their own nodes, behind a lock. On an event loop nothing is shared and all are linked.
//
// On a pool the owner alone adds, at the end; the owner and thieves take the oldest. The invariant:
// while the owner runs a body, everything that is ready can be taken by others, and a sleeper has
// been told of it. So nothing waits behind a long body while others sleep. Between two bodies the
// owner may be quiet:
//   - `push`, from within a body: others see the task at once; then the caller asks for sleepers.
//   - `collect`, between two bodies: others see it at once; sleepers are asked for when the next
//     body begins, and only if something is left then.
//   - `give_way`, the last act of a body: nobody sees the task before the next body begins. When it
//     is the only one it is that body, and no atomic operation has been made.
// Before a body that take() gave the owner asks untold(), before any other one share(); when they
// say so it asks for sleepers.
//
//   Q1: push or share stores tail_, an overflow stores linked_ (seq_cst), then the owner reads the
//       idle word (seq_cst) | a worker announces its sleep (seq_cst), then reads them (seq_cst):
//       either the owner sees the sleeper or the sleeper sees the task.
//   Q2: collect or take stores tail_, then take swaps head_ (seq_cst), then the owner reads the
//       idle word (seq_cst) | a worker announces its sleep (seq_cst), then reads head_ (seq_cst),
//       then tail_: the same for what is left behind a body.
//   Q3: tail_ is stored -> a thief loads it: hands over the slots and what the tasks' wakers wrote.
//   Q4: a thief swaps head_ -> the owner loads it: a slot is read before it is used again.
//   Q5: a refill stores tail_, then linked_ (release) -> who loads linked_ (acquire), then tail_:
//       what has left the list is seen in the ring.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/prefetch.hpp"
#include "weft/runtime/spin_lock.hpp"
#include "weft/runtime/suspended.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace weft::detail {

template <class Atomics = std_atomics, class Lock = spin_lock, std::size_t Capacity = 256>
class basic_ready_queue {
public:
  static constexpr std::size_t steal_max = 32;

  // For the one thread of an event loop.
  void push_unshared(suspended& s) noexcept { list_.push(s); }
  suspended* take_unshared() noexcept { return list_.take(); }

  /// From within a body: the caller asks for sleepers now. Thread: owner.
  void push(suspended& s) noexcept {
    share_last();
    const index t = tail_.load(std::memory_order_relaxed);  // relaxed: own store
    if (!has_room(t)) return overflow(s);
    slot(t).store(&s, std::memory_order_relaxed);   // relaxed: Q3
    tail_.store(t + 1, std::memory_order_seq_cst);  // sync: Q1, Q3
  }

  /// Between two bodies: sleepers are asked for when the next one begins. Thread: owner.
  void collect(suspended& s) noexcept {
    share_last();
    add(s);
  }

  /// The last act of a body: behind all others. Thread: owner.
  void give_way(suspended& s) noexcept {
    share_last();
    last_ = &s;
  }

  /// The oldest, to be run at once, or nullptr. Thread: owner.
  suspended* take() noexcept {
    index h = head_.load(std::memory_order_relaxed);  // relaxed: the swap checks it
    index t = tail_.load(std::memory_order_relaxed);  // relaxed: own store
    if (h == t) {
      // relaxed: the owner alone makes it more
      if (linked_.load(std::memory_order_relaxed) == 0) return std::exchange(last_, nullptr);
      return refill(t);
    }
    share_last();
    t = tail_.load(std::memory_order_relaxed);  // relaxed: own store
    do {
      suspended* const s = slot(h).load(std::memory_order_relaxed);  // relaxed: own store
      fetch_next(h, t);
      if (head_.compare_exchange_strong(h, h + 1, std::memory_order_seq_cst,  // sync: Q2
                                        std::memory_order_relaxed))
        return s;
    } while (h != t);
    return linked_.load(std::memory_order_relaxed) == 0 ? nullptr : refill(t);  // relaxed: as above
  }

  /// Before the body that take() gave: whether sleepers are to be told of what is left, since it
  /// was not there before the last one. Thread: owner.
  [[nodiscard]] bool untold() noexcept {
    if (!untold_) return false;
    untold_ = false;
    return any_shared();
  }

  /// Before a body that take() did not give: the same, with all of it. Thread: owner.
  [[nodiscard]] bool share() noexcept {
    share_last();
    if (!untold_) return false;
    untold_ = false;
    // relaxed: own store
    tail_.store(tail_.load(std::memory_order_relaxed), std::memory_order_seq_cst);  // sync: Q1
    return any_shared();
  }

  /// Whether take() would find something. Thread: owner.
  [[nodiscard]] bool has_any() const noexcept { return last_ != nullptr || any_shared(); }

  /// Moves the older half (at most steal_max) from `victim` to this queue, but for the oldest,
  /// which is returned. Thread: owner of this one.
  suspended* steal_from(basic_ready_queue& victim) noexcept {
    const index mine = tail_.load(std::memory_order_relaxed);  // relaxed: own store
    const std::size_t room = Capacity - (mine - head_.load(std::memory_order_acquire));  // sync: Q4
    index h = victim.head_.load(std::memory_order_relaxed);  // relaxed: the swap checks it
    for (;;) {
      const index t = victim.tail_.load(std::memory_order_acquire);  // sync: Q3
      const auto there = static_cast<std::int64_t>(t - h);
      if (there <= 0) break;
      const std::size_t n = share_of(static_cast<std::size_t>(there), room);
      // relaxed: Q3 has handed them over, or head_ has moved on and the swap fails.
      suspended* const oldest = victim.slot(h).load(std::memory_order_relaxed);
      for (std::size_t i = 1; i < n; ++i)
        slot(mine + i - 1)
            .store(victim.slot(h + i).load(std::memory_order_relaxed),
                   std::memory_order_relaxed);  // relaxed: Q3 follows
      if (victim.head_.compare_exchange_strong(h, h + n, std::memory_order_release,  // sync: Q4
                                               std::memory_order_relaxed)) {
        victim.stolen_.fetch_add(n, std::memory_order_relaxed);           // relaxed: for hints
        if (n > 1) tail_.store(mine + n - 1, std::memory_order_release);  // sync: Q3
        return oldest;
      }
    }
    return steal_linked(victim, mine, room);
  }

  /// The same, unless the victim's owner takes as many tasks during `pause` as this would: null
  /// then, which counts in `gone`. Thread: owner of this one.
  template <class Pause>
  suspended* steal_what_stays(basic_ready_queue& victim, Pause pause, int& gone) noexcept {
    const index before = victim.taken_by_owner();
    const index h = victim.head_.load(std::memory_order_relaxed);  // relaxed: hints
    const index t = victim.tail_.load(std::memory_order_relaxed);
    const auto there = static_cast<std::int64_t>(t - h);
    if (there > 0) {
      pause();
      const auto went = static_cast<std::int64_t>(victim.taken_by_owner() - before);
      if (went >= static_cast<std::int64_t>(share_of(static_cast<std::size_t>(there), Capacity))) {
        ++gone;
        return nullptr;
      }
    }
    return steal_from(victim);
  }

  /// Whether there is nothing to steal. What sleepers were told of before the caller announced its
  /// sleep is seen. Thread: any.
  [[nodiscard]] bool empty() const noexcept {
    if (linked_.load(std::memory_order_seq_cst) != 0) return false;  // sync: Q1, Q5
    const index h = head_.load(std::memory_order_seq_cst);           // sync: Q2
    const index t = tail_.load(std::memory_order_seq_cst);           // sync: Q1
    return static_cast<std::int64_t>(t - h) <= 0;
  }

private:
  using index = std::uint64_t;  // counts up, and does not come round

  /// Linked through the nodes, oldest first.
  struct list {
    void push(suspended& s) noexcept {
      s.next = nullptr;
      (newest == nullptr ? oldest : newest->next) = &s;
      newest = &s;
    }
    suspended* take() noexcept {
      suspended* const s = oldest;
      if (s == nullptr) return nullptr;
      oldest = s->next;
      if (oldest == nullptr) newest = nullptr;
      // The next one's frame may be cold: it comes closer while this one runs.
      prefetch(oldest);
      prefetch(oldest, -1);
      return s;
    }
    suspended* oldest = nullptr;
    suspended* newest = nullptr;
  };

  /// Of the ring. A hint: while a thief is at it, it may count a theft.
  index taken_by_owner() const noexcept {
    return head_.load(std::memory_order_relaxed) - stolen_.load(std::memory_order_relaxed);
  }
  auto& slot(index i) noexcept { return slots_[i % Capacity]; }
  static std::size_t share_of(std::size_t there, std::size_t room) noexcept {
    std::size_t n = (there + 1) / 2;
    if (n > steal_max) n = steal_max;
    return n > room ? room + 1 : n;
  }
  void fetch_next(index taken, index end) noexcept {
    if (taken + 1 == end) return;
    const suspended* const next = slot(taken + 1).load(std::memory_order_relaxed);  // relaxed: hint
    prefetch(next);
    prefetch(next, -1);
  }
  /// While some are linked the new ones are younger, and are linked too.
  bool has_room(index t) const noexcept {
    return linked_.load(std::memory_order_relaxed) == 0 &&  // relaxed: the owner makes it more
           t - head_.load(std::memory_order_acquire) < Capacity;  // sync: Q4
  }
  bool any_shared() const noexcept {
    // relaxed: the owner alone adds
    return tail_.load(std::memory_order_relaxed) != head_.load(std::memory_order_relaxed) ||
           linked_.load(std::memory_order_relaxed) != 0;
  }
  void share_last() noexcept {
    if (last_ != nullptr) add(*std::exchange(last_, nullptr));
  }
  void add(suspended& s) noexcept {
    untold_ = true;
    const index t = tail_.load(std::memory_order_relaxed);  // relaxed: own store
    if (!has_room(t)) return overflow(s);
    slot(t).store(&s, std::memory_order_relaxed);   // relaxed: Q3
    tail_.store(t + 1, std::memory_order_release);  // sync: Q2, Q3
  }

  [[gnu::noinline]] void overflow(suspended& s) noexcept {
    lock_.lock();
    list_.push(s);
    linked_.store(linked_.load(std::memory_order_relaxed) + 1,  // relaxed: under the lock
                  std::memory_order_seq_cst);                   // sync: Q1
    lock_.unlock();
  }
  /// The ring is empty: it gets the oldest of those that are linked, but for the first.
  [[gnu::noinline]] suspended* refill(index t) noexcept {
    share_last();
    lock_.lock();
    const std::size_t there = linked_.load(std::memory_order_relaxed);  // relaxed: under the lock
    const std::size_t n = there < Capacity ? there : Capacity;
    suspended* const oldest = list_.take();
    for (std::size_t i = 1; i < n; ++i)
      slot(t++).store(list_.take(), std::memory_order_relaxed);  // relaxed: Q3
    tail_.store(t, std::memory_order_release);                   // sync: Q3, Q5
    linked_.store(there - n, std::memory_order_release);         // sync: Q5
    lock_.unlock();
    return oldest;
  }
  suspended* steal_linked(basic_ready_queue& victim, index mine, std::size_t room) noexcept {
    if (victim.linked_.load(std::memory_order_relaxed) == 0) return nullptr;  // relaxed: a hint
    victim.lock_.lock();
    const std::size_t there = victim.linked_.load(std::memory_order_relaxed);  // relaxed: locked
    const std::size_t n = share_of(there, room);
    suspended* const oldest = victim.list_.take();
    for (std::size_t i = 1; i < n; ++i)
      slot(mine + i - 1).store(victim.list_.take(), std::memory_order_relaxed);  // relaxed: Q3
    if (oldest != nullptr)
      victim.linked_.store(there - n, std::memory_order_relaxed);  // relaxed: only fewer
    victim.lock_.unlock();
    if (n > 1) tail_.store(mine + n - 1, std::memory_order_release);  // sync: Q3
    return oldest;
  }

  // owner and thieves
  alignas(cache_line_size) typename Atomics::template atomic<index> head_{0};
  typename Atomics::template atomic<index> stolen_{0};  // of what head_ counts
  // written by the owner
  alignas(cache_line_size) typename Atomics::template atomic<index> tail_{0};
  suspended* last_ = nullptr;  // gave way, and nobody else has seen it
  bool untold_ = false;        // something was added without asking for sleepers
  std::array<typename Atomics::template atomic<suspended*>, Capacity> slots_{};
  // any thread, under the lock
  typename Atomics::template atomic<std::size_t> linked_{0};
  list list_;
  Lock lock_;
};

using ready_queue = basic_ready_queue<>;

}  // namespace weft::detail

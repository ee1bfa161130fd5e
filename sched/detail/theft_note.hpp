// SPDX-License-Identifier: MIT
#pragma once
// Tells who looks for the last time, before it sleeps or runs what it has, that it has to have all
// threads pass a fence first. After a theft the victim may go on for a moment as if its oldest item
// were still shared (R7 of runtime/detail/fork_deque.hpp), and when it computes for long, what it
// has forked meanwhile stays hidden.
//
// R1: a thief notes the theft, then changes the idle word (it ends its search, and wakes the next
//     one if it was the last) | a worker changes the idle word (it announces its sleep), then asks:
//     it comes second and sees the note, or is woken by the thief.
// Who sees that something is hidden notes it again: who takes that may be another.
// R2: note -> take: the fence comes after the theft.

#include "weft/runtime/atomics.hpp"

#include <atomic>

namespace weft::detail {

template <class Atomics = std_atomics>
class theft_note {
public:
  /// Thief: after each theft, while it still counts as searching.
  void note() noexcept {
    if (!noted_.load(std::memory_order_relaxed))      // relaxed: spares others the cache line
      noted_.store(true, std::memory_order_release);  // sync: R1, R2
  }
  /// Worker, searches no more: whether a heavy fence has to be passed before it looks for what
  /// others have forked.
  [[nodiscard]] bool take() noexcept {
    return noted_.load(std::memory_order_relaxed) &&           // relaxed: R1
           noted_.exchange(false, std::memory_order_acquire);  // sync: R2
  }

private:
  typename Atomics::template atomic<bool> noted_{false};
};

}  // namespace weft::detail

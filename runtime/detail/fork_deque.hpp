// SPDX-License-Identifier: MIT
#pragma once

// The queue of forked work: its owner pushes and pops at one end, thieves steal at the other.
//
// This is the growable work-stealing deque of Chase and Lev in the C11 form of Le, Pop, Cohen and
// Zappa Nardelli (PPoPP 2013), with seq_cst accesses in place of their fences, because
// ThreadSanitizer does not see fences. It holds pointers, owns nothing but its arrays, and knows
// neither tasks nor workers. `top_` is the index of the oldest item, `bottom_` the one after the
// newest; both only count up (a pop takes back what it counted), and wrap without harm.
//
// R1: push stores bottom -> steal loads bottom: hands over the slot and what the item points to.
// R2: pop stores bottom, then loads top | a steal or pop swaps top, a steal loads bottom after
//     it: one order of all four (seq_cst), so that an item that the owner takes without a swap
//     is one that no thief can still believe to be there.
// R3: steal swaps top -> push loads top: a slot is read before it is used again.
// R4: grow stores array -> steal loads array: hands over the array with the items copied into it.
// R5: push stores bottom, then its caller loads the idle word | a worker announces its sleep in
//     the idle word, then loads bottom in steal or empty: one of the two sees the other (seq_cst).
// R6: steal swaps top -> another steal loads top: the second thief's load of bottom comes after
//     the first one's swap in the order of R2.

#include "weft/runtime/atomics.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace weft::detail {

/// A deque of `T*`, never null, whose arrays come from `Allocator` (a stateless one).
///
/// Thread: push and pop by the owner only, the others by anyone; nobody uses it any more when it
///         is destroyed. Items that are left in it then are forgotten, not destroyed.
template <class T, class Atomics = std_atomics, class Allocator = std::allocator<T*>>
class fork_deque {
public:
  using index = std::int64_t;

  /// Holds at least `capacity` items before it grows. `first` is the index of the first one:
  /// tests start close to where an index wraps.
  explicit fork_deque(std::size_t capacity = 256, index first = 0)
      : top_(first), bottom_(first), array_(array::create(std::bit_ceil(capacity), nullptr)) {}

  fork_deque(const fork_deque&) = delete;
  fork_deque& operator=(const fork_deque&) = delete;

  ~fork_deque() {
    array* a = array_.load(std::memory_order_relaxed);  // relaxed: nobody else is left
    while (a != nullptr) {
      array* const older = a->older;
      array::destroy(a);
      a = older;
    }
  }

  /// Owner: adds the newest item. False, with nothing changed, when the array is full and a
  /// larger one cannot be had: the caller keeps the item.
  [[nodiscard]] bool push(T* item) noexcept {
    // relaxed: the owner is the only writer of bottom and array.
    const index b = bottom_.load(std::memory_order_relaxed);
    array* a = array_.load(std::memory_order_relaxed);
    const index t = top_.load(std::memory_order_acquire);  // sync: R3
    if (distance(t, b) == static_cast<index>(a->capacity)) {
      a = grow(a, t, b);
      if (a == nullptr) return false;
    }
    a->slot(b).store(item, std::memory_order_relaxed);   // relaxed: R1 hands it over
    bottom_.store(after(b), std::memory_order_seq_cst);  // sync: R1, R5
    return true;
  }

  /// Owner: takes the newest item; null when there is none.
  [[nodiscard]] T* pop() noexcept {
    // relaxed: the owner is the only writer of bottom and array.
    const index b = before(bottom_.load(std::memory_order_relaxed));
    array* const a = array_.load(std::memory_order_relaxed);
    bottom_.store(b, std::memory_order_seq_cst);     // sync: R2
    index t = top_.load(std::memory_order_seq_cst);  // sync: R2
    const index older = distance(t, b);
    if (older < 0) {
      bottom_.store(after(b), std::memory_order_relaxed);  // relaxed: offers nothing
      return nullptr;
    }
    T* const item = a->slot(b).load(std::memory_order_relaxed);  // relaxed: own store
    if (older > 0) return item;
    // The last item: thieves may be after it too, and the swap says who has it. Bottom comes
    // to stand where top stands in either case.
    const bool won = top_.compare_exchange_strong(t, after(t), std::memory_order_seq_cst,
                                                  std::memory_order_relaxed);  // sync: R2
    bottom_.store(after(b), std::memory_order_relaxed);  // relaxed: offers nothing
    return won ? item : nullptr;
  }

  /// Anyone: takes the oldest item. Null says that the deque was empty at some moment during the
  /// call; a race lost to another taker is tried again, so that null never hides an item.
  [[nodiscard]] T* steal() noexcept {
    for (;;) {
      index t = top_.load(std::memory_order_acquire);           // sync: R6
      const index b = bottom_.load(std::memory_order_seq_cst);  // sync: R1, R2, R5
      if (distance(t, b) <= 0) return nullptr;
      array* const a = array_.load(std::memory_order_acquire);  // sync: R4
      // relaxed: R1 or R4 has handed the slot over, or top has moved on and the swap fails.
      T* const item = a->slot(t).load(std::memory_order_relaxed);
      if (top_.compare_exchange_strong(t, after(t), std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {  // sync: R2, R3, R6
        return item;
      }
    }
  }

  /// Anyone: whether there is nothing to steal. What was pushed before the caller announced its
  /// sleep is seen (R5); what is seen may be gone a moment later.
  [[nodiscard]] bool empty() const noexcept {
    const index t = top_.load(std::memory_order_relaxed);     // relaxed: an old top is smaller
    const index b = bottom_.load(std::memory_order_seq_cst);  // sync: R5
    return distance(t, b) <= 0;
  }

  /// Anyone: about how many items there are, to choose a victim by.
  [[nodiscard]] std::size_t size_hint() const noexcept {
    const index t = top_.load(std::memory_order_relaxed);     // relaxed: a hint
    const index b = bottom_.load(std::memory_order_relaxed);  // relaxed: a hint
    const index size = distance(t, b);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }

private:
  using slot_type = typename Atomics::template atomic<T*>;

  // Arithmetic of indices wraps from the greatest to the least one, which is what unsigned
  // numbers do; distances are small, so their sign is right across the wrap.
  static index after(index i) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(i) + 1);
  }
  static index before(index i) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(i) - 1);
  }
  static index distance(index from, index to) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from));
  }

  // A power of two of slots behind a header, in one piece of memory.
  struct alignas(slot_type) array {
    std::size_t capacity;
    array* older;  // the one that this one replaced: thieves may still read it

    slot_type* slots() noexcept { return std::launder(reinterpret_cast<slot_type*>(this + 1)); }
    slot_type& slot(index i) noexcept {
      return slots()[static_cast<std::uint64_t>(i) & (capacity - 1)];
    }

    struct alignas(slot_type) unit {
      std::byte bytes[alignof(slot_type)];
    };
    using allocator = typename std::allocator_traits<Allocator>::template rebind_alloc<unit>;
    static std::size_t units(std::size_t capacity) noexcept {
      return (sizeof(array) + capacity * sizeof(slot_type)) / sizeof(unit);
    }
    static array* create(std::size_t capacity, array* older) {
      void* const memory = allocator{}.allocate(units(capacity));
      array* const a = ::new (memory) array{capacity, older};
      auto* const first = reinterpret_cast<slot_type*>(a + 1);
      for (std::size_t i = 0; i != capacity; ++i) ::new (first + i) slot_type(nullptr);
      return a;
    }
    static void destroy(array* a) noexcept {
      const std::size_t n = units(a->capacity);
      std::destroy_n(a->slots(), a->capacity);
      allocator{}.deallocate(reinterpret_cast<unit*>(a), n);
    }
  };

  // Old arrays stay until the deque dies, because a thief may be reading one: together they are
  // smaller than the newest.
  array* grow(array* old, index t, index b) noexcept {
    array* larger;
    try {
      larger = array::create(old->capacity * 2, old);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    for (index i = t; i != b; i = after(i)) {
      T* const item = old->slot(i).load(std::memory_order_relaxed);  // relaxed: own store
      larger->slot(i).store(item, std::memory_order_relaxed);        // relaxed: R4 follows
    }
    array_.store(larger, std::memory_order_release);  // sync: R4
    return larger;
  }

  // any thread
  alignas(cache_line_size) typename Atomics::template atomic<index> top_;
  // owner thread
  alignas(cache_line_size) typename Atomics::template atomic<index> bottom_;
  typename Atomics::template atomic<array*> array_;
};

}  // namespace weft::detail

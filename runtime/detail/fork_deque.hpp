// SPDX-License-Identifier: MIT
#pragma once

// The queue of forked work: its owner pushes and pops at one end, thieves steal at the other.
//
// A split deque, in the way of Lace and Wool, whose shared part is as small as it can be. The
// invariant: when the owner has pushed or popped, its oldest item is shared, if there is one, and
// no other. The owner pushes and pops the others, which are private, without a fence, an exchange
// or a cache line that thieves write. A thief takes the shared item, and with its next push or pop
// the owner, who sees that nothing is shared any more, shares the oldest that is left.
//
// What stays private because its owner computes for long a thief can take by force. It has the
// system make every thread of the process pass a fence (a `heavy` fence; the owner's `light` one
// only keeps the compiler from reordering), which costs microseconds: that is for a thief that
// would sleep otherwise.
//
// It holds pointers, owns nothing but its arrays, and knows neither tasks nor workers. `top_` is
// the index of the oldest item and only grows, `bottom_` the one after the newest; `split_`, which
// only grows, is after top where the oldest item is shared, and not after it where none is. All
// wrap without harm. A thief takes the item at top by a swap of top, if split or, by force, bottom
// is after it. The owner takes the item before bottom by the same swap where it is the oldest, and
// without where it is not: then it is not before split, so nobody else can take it but by force.
//
// R1: offer stores split -> steal loads split: hands over the slot and what the item points to.
// R2: push or pop stores bottom -> steal_by_force loads bottom: the same.
// R3: steal swaps top -> make_room loads top: a slot is read before it is used again.
// R4: grow stores array -> steal loads array: hands over the array with the items copied into it.
// R5: offer stores split, then its caller loads the idle word | a worker announces its sleep in
//     the idle word, then loads split in steal or offers: one of the two sees the other (seq_cst).
// R6: pop stores bottom, light fence, loads top | steal_by_force loads top, heavy fence, loads
//     bottom: an item that the owner takes without a swap is one that the thief does not see, or
//     the owner sees that top stands there.
// R7: push stores bottom, light fence, loads top | a thief swaps top, heavy fence, loads bottom in
//     hides: the owner sees that nothing is shared any more, or the thief what is private.

#include "weft/runtime/atomics.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>

namespace weft::detail {

/// Who takes from a fork deque.
enum class forks_taken_by {
  owner,   // nobody else: nothing is ever shared
  thieves  // the oldest item is shared
};

/// What push_quietly() leaves to its caller.
enum class fork_push {
  done,
  unshared,  // the item is there, and nothing is shared: share_oldest() follows
  no_room    // nothing has changed: push() does it, or says that it cannot
};

/// A deque of `T*`, never null, whose arrays come from `Allocator` (a stateless one).
///
/// Thread: the owner's functions by the owner only, the others by anyone; nobody uses it any more
///         when it is destroyed. Items that are left in it then are forgotten, not destroyed.
template <class T, class Atomics = std_atomics, class Allocator = std::allocator<T*>>
class fork_deque {
public:
  using index = std::int64_t;
  struct nobody_sleeps {
    void operator()() const noexcept {}
  };

  /// Holds at least `capacity` items before it grows. `first` is the index of the first one:
  /// tests start close to where an index wraps.
  explicit fork_deque(forks_taken_by who = forks_taken_by::thieves, std::size_t capacity = 256,
                      index first = 0)
      : top_(first), split_(first), bottom_(first), who_(who), array_(nullptr) {
    use(array::create(std::bit_ceil(capacity), nullptr), first);
    // Before the items of a deque that is the owner's alone stands one that is never taken: so
    // nothing ever looks as if it should be shared.
    if (who != forks_taken_by::owner) return;
    split_.store(after(first), std::memory_order_relaxed);   // relaxed: nobody knows it yet
    bottom_.store(after(first), std::memory_order_relaxed);  // relaxed: nobody knows it yet
  }

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

  /// Owner: adds the newest item. Where nothing was shared the oldest item is, and `offered` is
  /// called: then look for sleepers (R5). False, with nothing changed, when the array is full and a
  /// larger one cannot be had: the caller keeps the item.
  template <class Offered = nobody_sleeps>
  [[nodiscard]] bool push(T* item, Offered offered = {}) noexcept {
    for (;;) {
      const fork_push pushed = push_quietly(item);
      if (pushed == fork_push::no_room) [[unlikely]] {
        // relaxed: own store
        if (!make_room(bottom_.load(std::memory_order_relaxed))) return false;
        continue;
      }
      if (pushed == fork_push::unshared && share_oldest()) offered();
      return true;
    }
  }

  /// Owner: the same without a call, as far as it can be done so.
  [[nodiscard, gnu::always_inline]] fork_push push_quietly(T* item) noexcept {
    const index b = bottom_.load(std::memory_order_relaxed);  // relaxed: own store
    if (b == full_at_) [[unlikely]]
      return fork_push::no_room;
    own_slot(b).store(item, std::memory_order_relaxed);  // relaxed: R1 or R2 hands it over
    bottom_.store(after(b), std::memory_order_release);  // sync: R2, R7
    Atomics::light_fence();
    const index s = split_.load(std::memory_order_relaxed);  // relaxed: own store
    const index t = top_.load(std::memory_order_relaxed);    // relaxed: R7
    return distance(s, t) < 0 ? fork_push::done : fork_push::unshared;
  }

  /// Owner, where nothing is shared: shares the oldest item. False when there is none, otherwise
  /// look for sleepers (R5).
  [[nodiscard]] bool share_oldest() noexcept {
    const index t = top_.load(std::memory_order_relaxed);      // relaxed: R7
    return offer(t, bottom_.load(std::memory_order_relaxed));  // relaxed: own store
  }

  /// Owner: takes the newest item, if it is `expected`, or any (null); null when it is another one
  /// or there is none. `offered` as in push.
  template <class Offered = nobody_sleeps>
  [[nodiscard]] T* pop(const T* expected = nullptr, Offered offered = {}) noexcept {
    // relaxed: the owner is the only writer of bottom, split and the slots.
    const index b = before(bottom_.load(std::memory_order_relaxed));
    T* const item = own_slot(b).load(std::memory_order_relaxed);
    if (expected != nullptr && item != expected) return nullptr;
    const index s = split_.load(std::memory_order_relaxed);
    if (distance(s, b) < 0) [[unlikely]]
      return pop_oldest(b, item);
    bottom_.store(b, std::memory_order_release);  // sync: R2, R6
    Atomics::light_fence();
    const index t = top_.load(std::memory_order_relaxed);  // relaxed: R6
    // With top before split something is shared, and it is not this item.
    if (distance(s, t) < 0) [[likely]]
      return item;
    if (distance(t, b) <= 0) return pop_oldest(b, item);
    if (offer(t, b)) offered();
    return item;
  }

  /// Owner: takes `expected` if it is the newest item, and needs neither a swap nor a call for it.
  /// False with nothing changed: pop() says who has it.
  [[nodiscard, gnu::always_inline]] bool pop_quietly(const T* expected) noexcept {
    // relaxed: the owner is the only writer of bottom, split and the slots.
    const index b = before(bottom_.load(std::memory_order_relaxed));
    if (own_slot(b).load(std::memory_order_relaxed) != expected) return false;
    const index s = split_.load(std::memory_order_relaxed);
    if (distance(s, b) < 0) return false;
    bottom_.store(b, std::memory_order_release);  // sync: R2, R6
    Atomics::light_fence();
    const index t = top_.load(std::memory_order_relaxed);  // relaxed: R6
    if (distance(s, t) < 0) [[likely]]
      return true;
    bottom_.store(after(b), std::memory_order_release);  // sync: R2
    return false;
  }

  /// Anyone: takes the oldest item if it is shared. Null says that nothing was at some moment
  /// during the call; a race lost to another taker is tried again, so that null never hides an
  /// item.
  [[nodiscard]] T* steal() noexcept {
    for (;;) {
      const index t = top_.load(std::memory_order_relaxed);    // relaxed: the swap checks it
      const index s = split_.load(std::memory_order_seq_cst);  // sync: R1, R5
      if (distance(t, s) <= 0) return nullptr;
      if (T* const item = take_at(t)) return item;
    }
  }

  /// Anyone: the same where nobody takes the item during `pause`, which counts in `gone`; its owner
  /// may be the one. Null may hide an item that has just been shared, too.
  template <class Pause>
  [[nodiscard]] T* steal_what_stays(Pause pause, int& gone) noexcept {
    const std::optional<index> oldest = shared_index();
    if (!oldest) return nullptr;
    pause();
    if (shared_index() == oldest) return steal();
    ++gone;
    return nullptr;
  }

  /// Anyone: takes the oldest item, shared or not. `heavy_fence` makes all threads of the process
  /// pass a fence.
  template <class Fence>
  [[nodiscard]] T* steal_by_force(Fence heavy_fence) noexcept {
    for (;;) {
      const index t = top_.load(std::memory_order_relaxed);  // relaxed: R6, and the swap checks it
      heavy_fence();
      const index b = bottom_.load(std::memory_order_acquire);  // sync: R2, R6
      if (distance(t, b) <= 0) return nullptr;
      if (T* const item = take_at(t)) return item;
    }
  }

  /// Anyone: whether something is shared. What was offered before the caller announced its sleep
  /// is seen (R5); what is seen may be gone a moment later.
  [[nodiscard]] bool offers() const noexcept {
    const index t = top_.load(std::memory_order_relaxed);    // relaxed: an old top is smaller
    const index s = split_.load(std::memory_order_seq_cst);  // sync: R5
    return distance(t, s) > never_taken();
  }

  /// Anyone: whether there is something, shared or not; exact behind a heavy fence (R7).
  [[nodiscard]] bool hides() const noexcept {
    const index t = top_.load(std::memory_order_relaxed);     // relaxed: an old top is smaller
    const index b = bottom_.load(std::memory_order_relaxed);  // relaxed: R7
    return distance(t, b) > never_taken();
  }

private:
  using slot_type = typename Atomics::template atomic<T*>;

  // Arithmetic of indices wraps from the greatest to the least one, which is what unsigned
  // numbers do; distances are small, so their sign is right across the wrap.
  static index after(index i) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(i) + 1);
  }
  static index plus(index i, std::size_t n) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(i) + n);
  }
  static index before(index i) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(i) - 1);
  }
  static index distance(index from, index to) noexcept {
    return static_cast<index>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from));
  }

  // Of the oldest item, when it is shared. Two equal ones say that nobody has taken it in between:
  // top never goes back.
  std::optional<index> shared_index() const noexcept {
    const index t = top_.load(std::memory_order_relaxed);    // relaxed: steal looks once more
    const index s = split_.load(std::memory_order_relaxed);  // relaxed: the same
    if (distance(t, s) <= never_taken()) return std::nullopt;
    return t;
  }

  index never_taken() const noexcept { return who_ == forks_taken_by::owner ? 1 : 0; }

  slot_type& own_slot(index i) const noexcept {
    return own_slots_[static_cast<std::uint64_t>(i) & own_mask_];
  }

  // Shares the item at `t`, the oldest as far as the owner knows; false when there is none.
  [[gnu::noinline]] bool offer(index t, index b) noexcept {
    if (distance(t, b) <= 0) return false;
    split_.store(after(t), std::memory_order_seq_cst);  // sync: R1, R5
    return true;
  }

  // Null: another one has taken it.
  T* take_at(index t) noexcept {
    array* const a = array_.load(std::memory_order_acquire);  // sync: R4
    // relaxed: R1, R2 or R4 has handed the slot over, or top has moved on and the swap fails.
    T* const item = a->slot(t).load(std::memory_order_relaxed);
    const bool won = top_.compare_exchange_strong(t, after(t), std::memory_order_release,
                                                  std::memory_order_relaxed);  // sync: R3
    return won ? item : nullptr;
  }

  // There is no older item than the one at `b`, if that is still there: thieves may be after it
  // too, and the swap says who has it. All three indices come to stand where top does.
  [[gnu::noinline]] T* pop_oldest(index b, T* item) noexcept {
    if (who_ == forks_taken_by::owner) return nullptr;  // the one that is never taken
    index t = b;
    const bool won = top_.compare_exchange_strong(
        t, after(b), std::memory_order_relaxed,
        std::memory_order_relaxed);                      // relaxed: the owner knows the item
    bottom_.store(after(b), std::memory_order_relaxed);  // relaxed: offers nothing
    split_.store(after(b), std::memory_order_relaxed);   // relaxed: offers nothing
    return won ? item : nullptr;
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

  // There is no room at `b`, or was none when it was looked at last.
  [[gnu::noinline]] bool make_room(index b) noexcept {
    array* const a = array_.load(std::memory_order_relaxed);  // relaxed: own store
    const index t = top_.load(std::memory_order_acquire);     // sync: R3
    if (distance(t, b) == static_cast<index>(a->capacity)) return grow(a, t, b);
    full_at_ = plus(t, a->capacity);
    return true;
  }

  // Old arrays stay until the deque dies, because a thief may be reading one: together they are
  // smaller than the newest.
  bool grow(array* old, index t, index b) noexcept {
    array* larger;
    try {
      larger = array::create(old->capacity * 2, old);
    } catch (const std::bad_alloc&) {
      return false;
    }
    for (index i = t; i != b; i = after(i)) {
      T* const item = old->slot(i).load(std::memory_order_relaxed);  // relaxed: own store
      larger->slot(i).store(item, std::memory_order_relaxed);        // relaxed: R4 follows
    }
    use(larger, t);
    return true;
  }

  void use(array* a, index oldest) noexcept {
    own_slots_ = a->slots();
    own_mask_ = a->capacity - 1;
    full_at_ = plus(oldest, a->capacity);
    array_.store(a, std::memory_order_release);  // sync: R4
  }

  // What thieves look at: written by them, and by the owner only where sharing changes.
  alignas(cache_line_size) typename Atomics::template atomic<index> top_;
  typename Atomics::template atomic<index> split_;
  // Owner thread; thieves look here by force only, and for the array.
  alignas(cache_line_size) typename Atomics::template atomic<index> bottom_;
  slot_type* own_slots_;  // of the newest array
  std::size_t own_mask_;
  index full_at_;  // where there is no room for an item, or no one knows that there is
  const forks_taken_by who_;
  typename Atomics::template atomic<array*> array_;
};

}  // namespace weft::detail

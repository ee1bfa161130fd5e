// SPDX-License-Identifier: MIT
#pragma once

// The pages that coroutine frames lie in: 64 KiB, aligned to their size, so that the page of a
// frame is found from its address by whoever frees it. A page holds blocks of one size class
// (`block_page`, the frame store's), or frames of any size, one above the other (`stack_page`, one
// worker's).
//
// Who frees a frame of another worker's stack page gives it back through `frame_returns`, one
// atomic word. When the worker has ended before its frames, the last frame frees the page.
//
// R1: give swaps the word -> take swaps it: hands over the frame's memory and the list's links.
// R2: give, and orphan, swap the word -> the give that frees the page swaps it: all uses of the
//     page are over. The swap is the last touch: publish last.

#include "weft/runtime/atomics.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

/// All frames are aligned to this, and take a multiple of it.
inline constexpr std::size_t frame_alignment = 64;
inline constexpr std::size_t frame_page_size = std::size_t{64} * 1024;

/// What the first bytes of a frame hold that has ended on another thread.
struct returned_frame {
  returned_frame* next;
  std::uint32_t granules;  // of 64 bytes
};

/// The frames of one page that others have ended.
template <class Atomics = std_atomics>
class frame_returns {
public:
  /// Thread: any but the owner. True when the page is the caller's now: it has no owner any more,
  /// and this was its last frame. Otherwise the page may be gone.
  [[nodiscard]] bool give(returned_frame& frame) noexcept {
    const std::uint32_t granules = frame.granules;
    std::uintptr_t before = word_.load(std::memory_order_relaxed);  // relaxed: the swap decides
    for (;;) {
      std::uintptr_t after = 0;
      if ((before & orphaned) != 0) {
        after = before - unit * granules;
      } else {
        frame.next = std::bit_cast<returned_frame*>(before);
        after = std::bit_cast<std::uintptr_t>(&frame);
      }
      if (word_.compare_exchange_weak(before, after, std::memory_order_acq_rel,  // sync: R1, R2
                                      std::memory_order_relaxed))
        return after == orphaned;
    }
  }

  /// Owner: all that have been given, newest first.
  [[nodiscard]] returned_frame* take() noexcept {
    // relaxed: what is not seen now is seen next time.
    if (word_.load(std::memory_order_relaxed) == 0) return nullptr;
    return std::bit_cast<returned_frame*>(
        word_.exchange(0, std::memory_order_acquire));  // sync: R1
  }

  /// Owner: lets go of a page with so many granules in use, more than none. False, with nothing
  /// changed, when others have given some meanwhile. Publishes.
  [[nodiscard]] bool orphan(std::uint32_t granules) noexcept {
    std::uintptr_t nothing_given = 0;
    return word_.compare_exchange_strong(nothing_given, unit * granules + orphaned,
                                         std::memory_order_release,  // sync: R2
                                         std::memory_order_relaxed);
  }

private:
  // The word: 0, the newest frame given, or, odd, how many granules are left without an owner.
  static constexpr std::uintptr_t orphaned = 1;
  static constexpr std::uintptr_t unit = 2;

  typename Atomics::template atomic<std::uintptr_t> word_{0};
};

class frame_cache;

enum class frame_page_kind : std::uint32_t { blocks, stack };

/// What each page begins with.
struct frame_page {
  // The store's, under its lock.
  frame_page* first;     // of the pages that were allocated together
  std::uint32_t unused;  // in the first page: a bit for each of them
  frame_page_kind kind;  // fixed while it holds frames
  frame_page* next;      // in the first page: of those with unused pages
  frame_page* previous;
};

/// What the first bytes of an unused block hold.
struct frame_block {
  frame_block* next;  // below the last one of a batch lies one of depth 0, whose next is null
  // Blocks in this batch from here on. Kept here and not beside the list's head, because a counter
  // there would chain every call to the one before: 1 to 3 ns of 9 for a frame in a recursive
  // fork-join.
  std::uint32_t depth;
};
static_assert(sizeof(frame_block) <= frame_alignment);

/// Blocks of one size class. Under the lock of its class in the frame store.
struct alignas(64) block_page : frame_page {
  frame_block* free;
  std::uint32_t fresh;  // offset of the first block that was never used
  std::uint32_t used;   // blocks that are not here
  block_page* next_open;
  block_page* previous_open;
};
static_assert(sizeof(block_page) == frame_alignment);

/// Frames of one worker that ends most of them in the reverse order. What dies out of order leaves
/// a hole, which is used again when `top` comes down to it. Owner thread, except for `returns`.
struct alignas(64) stack_page : frame_page {
  std::atomic<frame_cache*> owner;  // relaxed: other caches find that it is not theirs
  frame_returns<> returns;
  std::uintptr_t top;          // valid while another page is the one in use
  std::size_t orphaned_bytes;  // in use when its owner ended
  stack_page* below;
  stack_page* above;
  // All below top: a bit for the last granule of each, which holds the address of its first.
  std::array<std::uint64_t, frame_page_size / frame_alignment / 64> holes;

  /// The header of a page from the store, whose own part stays as it is.
  static stack_page& make(frame_page& page, frame_cache* owner) noexcept {
    auto& made = static_cast<stack_page&>(page);
    made.kind = frame_page_kind::stack;
    ::new (static_cast<void*>(&made.owner)) std::atomic<frame_cache*>(owner);
    ::new (static_cast<void*>(&made.returns)) frame_returns<>();
    made.top = made.bottom();
    made.below = nullptr;
    made.above = nullptr;
    made.holes = {};
    return made;
  }

  std::uintptr_t bottom() const noexcept {
    return std::bit_cast<std::uintptr_t>(this) + sizeof(stack_page);
  }
  std::uintptr_t end() const noexcept {
    return std::bit_cast<std::uintptr_t>(this) + frame_page_size;
  }
  /// The end of the page that `p` lies in, whatever it is.
  static std::uintptr_t end_above(const void* p) noexcept {
    return (std::bit_cast<std::uintptr_t>(p) | (frame_page_size - 1)) + 1;
  }

  /// `p` has ended out of order.
  void add_hole(void* p, std::size_t bytes) noexcept {
    const std::uintptr_t begin = std::bit_cast<std::uintptr_t>(p);
    const std::size_t last = granule(begin + bytes) - 1;
    ::new (granule_at(last)) std::uintptr_t(begin);
    holes[last / 64] |= std::uint64_t{1} << last % 64;
  }

  /// Brings `t`, the top, down over the holes below it.
  std::uintptr_t lowered(std::uintptr_t t) noexcept {
    for (;;) {
      const std::size_t last = granule(t) - 1;  // at the bottom the header, which is no hole
      const std::uint64_t bit = std::uint64_t{1} << last % 64;
      if ((holes[last / 64] & bit) == 0) return t;
      holes[last / 64] ^= bit;
      t = begin_of_hole(last);
    }
  }

  void take_returned() noexcept {
    for (returned_frame* f = returns.take(); f != nullptr;) {
      void* const ended = f;
      const std::size_t bytes = f->granules * frame_alignment;
      f = f->next;
      add_hole(ended, bytes);
    }
  }

  std::uint32_t live_granules(std::uintptr_t t) const noexcept {
    std::size_t live = granule(t) - granule(bottom());
    for (std::size_t i = 0; i != holes.size(); ++i) {
      for (std::uint64_t word = holes[i]; word != 0; word &= word - 1) {
        const std::size_t last = i * 64 + static_cast<std::size_t>(std::countr_zero(word));
        live -= last + 1 - granule(begin_of_hole(last));
      }
    }
    return static_cast<std::uint32_t>(live);
  }

private:
  std::size_t granule(std::uintptr_t address) const noexcept {
    return (address - std::bit_cast<std::uintptr_t>(this)) / frame_alignment;
  }
  void* granule_at(std::size_t index) const noexcept {
    return std::bit_cast<void*>(std::bit_cast<std::uintptr_t>(this) + index * frame_alignment);
  }
  std::uintptr_t begin_of_hole(std::size_t last) const noexcept {
    return *static_cast<const std::uintptr_t*>(granule_at(last));
  }
};

/// The page of a frame that does not lie in the heap by itself.
inline frame_page& page_of(void* frame) noexcept {
  return *std::bit_cast<frame_page*>(std::bit_cast<std::uintptr_t>(frame) & ~(frame_page_size - 1));
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once

// Memory for coroutine frames: a cache for each worker, and one depot that the workers of a
// scheduler share.
//
// Sizes are rounded up to classes of 64, 128, ... 2048 bytes, larger frames go straight to the
// heap. Every block is a heap allocation of its own, 64-byte aligned, so it may be freed on any
// thread, by another worker's cache or without one (`deallocate_uncached`).
//
// Blocks move between caches in batches of about 32 KiB. For each class a cache keeps an open batch
// that it pushes to and pops from, and at most one full batch in reserve: so handing a batch over
// never walks a list, and a worker that alternates around a batch's edge does not visit the depot
// each time. When one worker makes frames that another one ends, the full batches travel back
// through the depot.
//
// What is cached is bounded: 64 KiB per class and worker, and `frame_depot`'s limit per scheduler.
// While a block is not in use it is poisoned, when the program runs under AddressSanitizer.

#include "weft/runtime/spin_lock.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

inline constexpr std::size_t frame_alignment = 64;
inline constexpr std::size_t frame_cached_max = 2048;
inline constexpr std::size_t frame_class_count = frame_cached_max / frame_alignment;
inline constexpr std::size_t frame_batch_bytes = 32 * 1024;

/// What the first bytes of an unused block hold.
struct frame_block {
  frame_block* next;  // in the same batch; below the last one lies a block of depth 0
  // Blocks in this batch from here on. Kept here and not beside the list's head, because a counter
  // there would chain every call to the one before: 1 to 3 ns of 9 for a frame in a recursive
  // fork-join.
  std::uint32_t depth;
  frame_block* next_batch;  // in the depot, in the first block of a batch only
};
static_assert(sizeof(frame_block) <= frame_alignment);

/// Full batches on their way from one worker's cache to another's. Any thread; outlives its caches.
class frame_depot {
public:
  /// Keeps at most `bytes_max` (rounded down to whole batches), all classes together.
  explicit frame_depot(std::size_t bytes_max = 32 * 1024 * 1024) noexcept : bytes_max_(bytes_max) {}
  frame_depot(const frame_depot&) = delete;
  frame_depot& operator=(const frame_depot&) = delete;
  ~frame_depot();

  [[nodiscard]] std::size_t cached_bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }

private:
  friend class frame_cache;

  // A stack of batches, linked through their first blocks.
  struct alignas(64) shelf {
    spin_lock lock;
    frame_block* newest = nullptr;
  };

  // Declines when the depot is full; the batch is then still the caller's.
  [[nodiscard]] bool try_push(std::size_t size_class, frame_block* batch) noexcept;
  // Null when there is none.
  [[nodiscard]] frame_block* try_pop(std::size_t size_class) noexcept;

  const std::size_t bytes_max_;
  std::atomic<std::size_t> bytes_{0};
  std::array<shelf, frame_class_count> shelves_;
};

/// One worker's cache. Used by its owner thread alone, except for the counters.
class frame_cache {
public:
  explicit frame_cache(frame_depot* depot = nullptr) noexcept;
  frame_cache(const frame_cache&) = delete;
  frame_cache& operator=(const frame_cache&) = delete;
  /// Gives every cached block back to the heap. Frames in use are not touched.
  ~frame_cache();

  /// At least `size` bytes, 64-byte aligned. Throws std::bad_alloc; nothing has changed then.
  [[nodiscard]] void* allocate(std::size_t size) {
    const std::size_t size_class = class_of(size);
    if (size_class < frame_class_count && quick_) [[likely]] {
      free_list& list = lists_[size_class];
      if (frame_block* const block = list.top; block->depth != 0) [[likely]] {
        list.top = block->next;
        count(allocated_);
        return block;
      }
    }
    return allocate_slowly(size);
  }

  /// `size` is the one that was asked for; the block may come from any cache or from none.
  void deallocate(void* memory, std::size_t size) noexcept {
    const std::size_t size_class = class_of(size);
    if (size_class < frame_class_count && quick_) [[likely]] {
      free_list& list = lists_[size_class];
      frame_block* const top = list.top;
      if (const std::uint32_t depth = top->depth; depth != list.batch_size) [[likely]] {
        list.top = ::new (memory) frame_block;
        list.top->next = top;
        list.top->depth = depth + 1;
        count(freed_);
        return;
      }
    }
    deallocate_slowly(memory, size);
  }

  /// The same without a cache, for threads that are not workers.
  [[nodiscard]] static void* allocate_uncached(std::size_t size);
  static void deallocate_uncached(void* block, std::size_t size) noexcept;

  // Counters: any thread may read them; a sum over all caches is exact when the workers stand
  // still.
  [[nodiscard]] std::uint64_t allocated() const noexcept {
    return allocated_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t freed() const noexcept {
    return freed_.load(std::memory_order_relaxed);
  }
  /// Allocated here less freed here: negative where frames of other workers end.
  [[nodiscard]] std::int64_t live() const noexcept {
    return static_cast<std::int64_t>(allocated() - freed());
  }
  /// Bytes that lie unused in this cache. Owner thread.
  [[nodiscard]] std::size_t cached_bytes() const noexcept;

private:
  struct free_list {
    frame_block* top;      // of the open batch
    frame_block* reserve;  // a full batch, or null
    std::uint32_t batch_size;
  };

  // Not below frame_class_count for 0 bytes (wraps around) and for more than frame_cached_max.
  static constexpr std::size_t class_of(std::size_t size) noexcept {
    return (size - 1) / frame_alignment;
  }
  static std::size_t heap_size(std::size_t size) noexcept;

  [[gnu::noinline]] void* allocate_slowly(std::size_t size);
  [[gnu::noinline]] void deallocate_slowly(void* block, std::size_t size) noexcept;
  void open_another_batch(free_list& list) noexcept;
  void put_batch_aside(free_list& list) noexcept;

  // relaxed: the owner is the only writer of either.
  static void count(std::atomic<std::uint64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // Fixed after construction.
  frame_depot* const depot_;
  const bool quick_;  // false where blocks have to be poisoned
  // Written by the owner thread.
  std::atomic<std::uint64_t> allocated_{0};
  std::atomic<std::uint64_t> freed_{0};
  std::array<free_list, frame_class_count> lists_;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once

// Memory for coroutine frames: a cache for each worker, over the frame store that all share.
//
// Tasks mostly end in the reverse order in which they were made, so a cache gives them memory from
// a stack: pages in which frames lie one above the other. Each call is then a few instructions,
// inline, and the next frame lies where the last one ended. What ends out of order leaves a hole,
// used again when the top comes down to it; what ends on another thread comes back through its page
// (detail/frame_page.hpp). The pages of a stack are bounded; while they are full, and for the
// records of spawned tasks, which end in any order, there is a list for each size class.
//
// The lists get blocks from the store and give them back in batches of about 32 KiB. Each has an
// open batch that it pushes to and pops from, and at most one full batch in reserve: so handing a
// batch over never walks a list, and a worker that alternates around a batch's edge does not visit
// the store each time. A block goes to the list of whoever ends the frame.
//
// What a cache keeps unused is bounded: 1 MiB of stack, 64 KiB a class. Under AddressSanitizer each
// frame is a heap allocation of its own, so that the sanitizer sees who uses one too late.

#include "weft/runtime/detail/frame_page.hpp"
#include "weft/runtime/frame_store.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// The blocks of each size class that a worker has at hand.
struct frame_lists {
  struct list {
    frame_block* top = &no_block;    // of the open batch
    frame_block* reserve = nullptr;  // a full batch, or null
    std::uint32_t blocks_max = 0;    // of a batch
  };
  std::array<list, frame_class_count> classes;
};

/// Where the frames come from that this thread makes. A thread without a cache has an empty stack,
/// and lists that give and take nothing.
struct frame_source {
  std::uintptr_t top;  // of the stack page in use
  std::uintptr_t end;
  frame_lists* lists;  // never null
};

/// This thread's. Never kept across a suspension, see current_worker().
#if defined(__x86_64__) && defined(__LP64__)
[[gnu::always_inline]] inline frame_source& this_frame_source() noexcept {
  frame_source* here;
  asm volatile("{movq weft_this_frame_source@gottpoff(%%rip), %0|"
               "mov %0, QWORD PTR weft_this_frame_source@gottpoff[rip]}\n\t"
               "{addq %%fs:0, %0|add %0, QWORD PTR fs:[0]}"
               : "=r"(here)
               :
               : "cc");
  return *here;
}
#else
[[gnu::noinline]] frame_source& this_frame_source() noexcept;
#endif

[[gnu::noinline]] void* allocate_frame_slowly(std::size_t bytes);
[[gnu::noinline]] void deallocate_frame_slowly(void* p, std::size_t bytes) noexcept;
[[gnu::noinline]] void* allocate_record_slowly(std::size_t bytes);
[[gnu::noinline]] void deallocate_record_slowly(void* p, std::size_t bytes) noexcept;

constexpr std::size_t frame_bytes(std::size_t bytes) noexcept {
  return (bytes + frame_alignment - 1) & ~(frame_alignment - 1);
}
constexpr std::size_t frame_class(std::size_t bytes) noexcept {
  return (bytes - 1) / frame_alignment;
}

/// At least `bytes`, more than none, 64-byte aligned. Throws std::bad_alloc. Always inlined: once a
/// compiler has laid out the frame its size is a constant.
[[gnu::always_inline]] inline void* allocate_frame(std::size_t bytes) {
  frame_source& here = this_frame_source();
  const std::uintptr_t p = here.top;
  const std::uintptr_t above = p + frame_bytes(bytes);
  if (bytes > frame_cached_max || above > here.end) [[unlikely]]
    return allocate_frame_slowly(bytes);
  here.top = above;
  return std::bit_cast<void*>(p);
}

/// `bytes` as they were asked for. Thread: any.
[[gnu::always_inline]] inline void deallocate_frame(void* p, std::size_t bytes) noexcept {
  frame_source& here = this_frame_source();
  const auto address = std::bit_cast<std::uintptr_t>(p);
  if (bytes > frame_cached_max || address + frame_bytes(bytes) != here.top) [[unlikely]]
    return deallocate_frame_slowly(p, bytes);
  here.top = address;
}

/// The same for what ends in any order, as spawned tasks do.
[[gnu::always_inline]] inline void* allocate_record(std::size_t bytes) {
  if (bytes > frame_cached_max) return allocate_record_slowly(bytes);
  frame_lists::list& list = this_frame_source().lists->classes[frame_class(bytes)];
  frame_block* const block = list.top;
  frame_block* const next = block->next;
  if (next == nullptr) [[unlikely]]
    return allocate_record_slowly(bytes);
  list.top = next;
  return block;
}

[[gnu::always_inline]] inline void deallocate_record(void* p, std::size_t bytes) noexcept {
  if (bytes > frame_cached_max) return deallocate_record_slowly(p, bytes);
  frame_lists::list& list = this_frame_source().lists->classes[frame_class(bytes)];
  frame_block* const top = list.top;
  const std::uint32_t depth = top->depth;
  if (depth >= list.blocks_max) [[unlikely]]
    return deallocate_record_slowly(p, bytes);
  list.top = ::new (p) frame_block{top, depth + 1};
}

/// One worker's frames. Thread: the one that it is bound to, or that drives it otherwise.
class frame_cache : frame_lists {
public:
  /// What the pages of its stack are bounded by: deeper than that, the lists serve.
  static constexpr unsigned stack_pages_max = 16;

  frame_cache() noexcept;
  frame_cache(const frame_cache&) = delete;
  frame_cache& operator=(const frame_cache&) = delete;
  /// Gives everything unused back. Frames in use are not touched. Not bound.
  ~frame_cache();

  /// From here on, and until unbind(), this thread's frames come from here.
  void bind() noexcept;
  void unbind() noexcept;

  /// Bytes of frames made here, less those ended here: negative where frames of other workers end.
  [[nodiscard]] std::int64_t live_bytes() noexcept;
  /// Bytes that lie unused in the lists.
  [[nodiscard]] std::size_t listed_bytes() const noexcept;
  [[nodiscard]] unsigned stack_pages() const noexcept { return stack_pages_; }

private:
  friend void* allocate_frame_slowly(std::size_t bytes);
  friend void deallocate_frame_slowly(void* p, std::size_t bytes) noexcept;
  friend void* allocate_record_slowly(std::size_t bytes);
  friend void deallocate_record_slowly(void* p, std::size_t bytes) noexcept;
  friend std::int64_t live_frame_bytes() noexcept;

  // The stack. `here` is the source of the calling thread, which this is bound to.
  bool make_room(frame_source& here, std::size_t bytes) noexcept;
  bool add_page(frame_source& here) noexcept;
  void use_page(frame_source& here, stack_page& page) noexcept;
  void remove_page(stack_page& page) noexcept;
  static void leave_page(stack_page& page) noexcept;
  void sweep(frame_source& here) noexcept;
  void end_on_stack(frame_source& here, stack_page& page, void* p, std::size_t bytes) noexcept;

  // The lists.
  void* allocate_block(std::size_t bytes);
  void deallocate_block(void* p, std::size_t bytes) noexcept;

  stack_page* stack_ =
      nullptr;  // the page in use: what is below holds frames, above is one at most
  unsigned stack_pages_ = 0;
  unsigned full_calls_ = 0;  // that ask the lists, before another look at the stack
  std::int64_t drawn_ = 0;   // bytes of blocks taken from the store, less those given
};

/// Bytes of frames alive in the whole process, as far as workers that run elsewhere have not
/// changed them: for tests, exact when no worker exists.
std::int64_t live_frame_bytes() noexcept;

}  // namespace weft::detail

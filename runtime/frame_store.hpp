// SPDX-License-Identifier: MIT
#pragma once

// Where the caches of all workers get the memory for frames, and give it back: whole pages, and
// blocks of one size class in batches. There is one for the process, since a frame may end on any
// thread, after its scheduler too.
//
// Pages are allocated many at a time. Of those that hold nothing a bounded number is kept; more go
// back to the heap as soon as all that were allocated together are unused.

#include "weft/runtime/detail/frame_page.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// Blocks are of 64, 128, ... bytes; frames that are larger than this go straight to the heap.
inline constexpr std::size_t frame_cached_max = 4096;
inline constexpr std::size_t frame_class_count = frame_cached_max / frame_alignment;
/// What the store takes back at a time of one class, about.
inline constexpr std::size_t frame_batch_bytes = std::size_t{32} * 1024;

constexpr std::size_t frame_class_bytes(std::size_t size_class) noexcept {
  return (size_class + 1) * frame_alignment;
}
constexpr std::uint32_t frame_batch_blocks(std::size_t size_class) noexcept {
  return static_cast<std::uint32_t>(frame_batch_bytes / frame_class_bytes(size_class));
}

/// Below every batch, with depth 0: spares the usual paths a test for null. Never written.
extern frame_block no_block;

/// Thread: any.
class frame_store {
public:
  constexpr frame_store() noexcept = default;
  frame_store(const frame_store&) = delete;
  frame_store& operator=(const frame_store&) = delete;

  static frame_store& instance() noexcept;

  /// A page that holds nothing; null when there is no memory.
  [[nodiscard]] frame_page* take_page() noexcept;
  void give_page(frame_page& page) noexcept;

  /// At least one block and at most `count`, linked as a batch; `&no_block` when there is no
  /// memory.
  [[nodiscard]] frame_block* take_blocks(std::size_t size_class, std::uint32_t count) noexcept;
  void give_blocks(std::size_t size_class, frame_block* batch) noexcept;

  /// Bytes of the pages that hold nothing.
  [[nodiscard]] std::size_t unused_bytes() noexcept;
  /// Bytes of all pages.
  [[nodiscard]] std::size_t page_bytes() noexcept;

private:
  // The blocks of one class, in pages that have one to give.
  struct alignas(64) shelf {
    spin_lock lock;
    block_page* open = nullptr;
  };

  [[nodiscard]] bool add_pages() noexcept;
  void link(frame_page& first) noexcept;
  void unlink(frame_page& first) noexcept;
  static void link(shelf& s, block_page& page) noexcept;
  static void unlink(shelf& s, block_page& page) noexcept;

  // Under `lock_`.
  spin_lock lock_;
  frame_page* with_unused_ = nullptr;
  std::size_t unused_ = 0;
  std::size_t pages_ = 0;

  std::array<shelf, frame_class_count> shelves_;
};

}  // namespace weft::detail

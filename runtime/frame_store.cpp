// SPDX-License-Identifier: MIT
#include "weft/runtime/frame_store.hpp"

#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <new>

namespace weft::detail {

constinit frame_block no_block{nullptr, 0};

namespace {

constinit frame_store the_store;

// Together they are large enough for the heap to waste little on their alignment.
constexpr unsigned pages_together = 16;
constexpr std::uint32_t all_unused = (std::uint32_t{1} << pages_together) - 1;
// Kept although they hold nothing, 32 MiB.
constexpr std::size_t unused_max = 512;
// Blocks never used before are handed out few at a time: what nobody asks for is not touched.
constexpr std::size_t fresh_bytes = 4096;
// What one holder of a lock does at most.
constexpr unsigned blocks_per_lock = 32;

unsigned index_of(const frame_page& page) noexcept {
  return static_cast<unsigned>(
      (std::bit_cast<std::uintptr_t>(&page) - std::bit_cast<std::uintptr_t>(page.first)) /
      frame_page_size);
}

frame_page& page_at(frame_page& first, unsigned index) noexcept {
  return *std::bit_cast<frame_page*>(std::bit_cast<std::uintptr_t>(&first) +
                                     index * frame_page_size);
}

void* block_at(block_page& page, std::size_t offset) noexcept {
  return std::bit_cast<void*>(std::bit_cast<std::uintptr_t>(&page) + offset);
}

}  // namespace

frame_store& frame_store::instance() noexcept { return the_store; }

frame_page* frame_store::take_page() noexcept {
  for (;;) {
    {
      const std::lock_guard guard(lock_);
      if (frame_page* const first = with_unused_; first != nullptr) {
        const auto index = static_cast<unsigned>(std::countr_zero(first->unused));
        first->unused &= first->unused - 1;
        if (first->unused == 0) unlink(*first);
        --unused_;
        frame_page& page = page_at(*first, index);
        page.first = first;
        return &page;
      }
    }
    if (!add_pages()) return nullptr;
  }
}

bool frame_store::add_pages() noexcept {
  void* const memory = ::operator new(pages_together * frame_page_size,
                                      std::align_val_t{frame_page_size}, std::nothrow);
  if (memory == nullptr) return false;
  auto* const first = static_cast<frame_page*>(memory);
  first->unused = all_unused;
  const std::lock_guard guard(lock_);
  unused_ += pages_together;
  pages_ += pages_together;
  link(*first);
  return true;
}

void frame_store::give_page(frame_page& page) noexcept {
  frame_page& first = *page.first;
  {
    const std::lock_guard guard(lock_);
    if (first.unused == 0) link(first);
    first.unused |= std::uint32_t{1} << index_of(page);
    ++unused_;
    if (first.unused != all_unused || unused_ <= unused_max) return;
    unlink(first);
    unused_ -= pages_together;
    pages_ -= pages_together;
  }
  ::operator delete(static_cast<void*>(&first), pages_together * frame_page_size,
                    std::align_val_t{frame_page_size});
}

void frame_store::link(frame_page& first) noexcept {
  first.previous = nullptr;
  first.next = with_unused_;
  if (with_unused_ != nullptr) with_unused_->previous = &first;
  with_unused_ = &first;
}

void frame_store::unlink(frame_page& first) noexcept {
  (first.previous != nullptr ? first.previous->next : with_unused_) = first.next;
  if (first.next != nullptr) first.next->previous = first.previous;
}

frame_block* frame_store::take_blocks(std::size_t size_class, std::uint32_t count) noexcept {
  shelf& s = shelves_[size_class];
  const auto bytes = static_cast<std::uint32_t>(frame_class_bytes(size_class));
  block_page* added = nullptr;
  for (;;) {
    {
      const std::lock_guard guard(s.lock);
      if (added != nullptr) link(s, *added);
      if (block_page* const page = s.open; page != nullptr) {
        frame_block* batch = &no_block;
        std::uint32_t taken = 0;
        while (taken != std::min(count, blocks_per_lock) && page->free != nullptr) {
          frame_block* const block = page->free;
          page->free = block->next;
          *block = {batch, ++taken};
          batch = block;
        }
        if (taken == 0) {
          const auto room = static_cast<std::uint32_t>(frame_page_size - page->fresh) / bytes;
          taken = std::min(
              {count, room, std::max(1u, static_cast<std::uint32_t>(fresh_bytes / bytes))});
          page->fresh += taken * bytes;
          for (std::uint32_t i = 1; i <= taken; ++i)
            batch = ::new (block_at(*page, page->fresh - i * bytes)) frame_block{batch, i};
        }
        page->used += taken;
        if (page->free == nullptr && page->fresh + bytes > frame_page_size) unlink(s, *page);
        return batch;
      }
    }
    frame_page* const page = take_page();
    if (page == nullptr) return &no_block;
    page->kind = frame_page_kind::blocks;
    added = static_cast<block_page*>(page);
    added->free = nullptr;
    added->fresh = sizeof(block_page);
    added->used = 0;
  }
}

void frame_store::give_blocks(std::size_t size_class, frame_block* batch) noexcept {
  shelf& s = shelves_[size_class];
  const std::size_t bytes = frame_class_bytes(size_class);
  while (batch != &no_block) {
    block_page* emptied = nullptr;  // linked by next_open
    {
      const std::lock_guard guard(s.lock);
      for (unsigned n = 0; n != blocks_per_lock && batch != &no_block; ++n) {
        frame_block* const block = batch;
        batch = block->next;
        auto& page = static_cast<block_page&>(page_of(block));
        if (page.free == nullptr && page.fresh + bytes > frame_page_size) link(s, page);
        block->next = page.free;
        page.free = block;
        if (--page.used != 0) continue;
        unlink(s, page);
        page.next_open = emptied;
        emptied = &page;
      }
    }
    while (emptied != nullptr) {
      block_page* const next = emptied->next_open;
      give_page(*emptied);
      emptied = next;
    }
  }
}

void frame_store::link(shelf& s, block_page& page) noexcept {
  page.previous_open = nullptr;
  page.next_open = s.open;
  if (s.open != nullptr) s.open->previous_open = &page;
  s.open = &page;
}

void frame_store::unlink(shelf& s, block_page& page) noexcept {
  (page.previous_open != nullptr ? page.previous_open->next_open : s.open) = page.next_open;
  if (page.next_open != nullptr) page.next_open->previous_open = page.previous_open;
}

std::size_t frame_store::unused_bytes() noexcept {
  const std::lock_guard guard(lock_);
  return unused_ * frame_page_size;
}

std::size_t frame_store::page_bytes() noexcept {
  const std::lock_guard guard(lock_);
  return pages_ * frame_page_size;
}

}  // namespace weft::detail

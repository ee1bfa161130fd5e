// SPDX-License-Identifier: MIT
#include "weft/runtime/frame_cache.hpp"

#include <mutex>
#include <new>
#include <utility>

// AddressSanitizer's run-time library defines these; without it they are null. A test at run time,
// since a program built with the sanitizer may well link a library built without.
extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* address,
                                               std::size_t size) noexcept;
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address,
                                                 std::size_t size) noexcept;
}

namespace weft::detail {

namespace {

// Below every batch, with depth 0: spares the usual paths a test for null. Never written.
constinit frame_block bottom{nullptr, 0, nullptr};

constexpr std::size_t bytes_of(std::size_t size_class) noexcept {
  return (size_class + 1) * frame_alignment;
}

constexpr std::uint32_t blocks_per_batch(std::size_t size_class) noexcept {
  return static_cast<std::uint32_t>(frame_batch_bytes / bytes_of(size_class));
}

static_assert(blocks_per_batch(frame_class_count - 1) >= 8);

bool poisons() noexcept { return __asan_poison_memory_region != nullptr; }

void poison(void* block, std::size_t size) noexcept {
  if (poisons()) {
    __asan_poison_memory_region(block, size);
  }
}

void unpoison(void* block, std::size_t size) noexcept {
  if (poisons()) {
    __asan_unpoison_memory_region(block, size);
  }
}

std::uint32_t depth_of(frame_block* block) noexcept {
  if (block == &bottom) {
    return 0;
  }
  unpoison(block, sizeof(frame_block));
  const std::uint32_t depth = block->depth;
  poison(block, sizeof(frame_block));
  return depth;
}

void give_to_heap(frame_block* batch, std::size_t size) noexcept {
  while (batch != &bottom) {
    unpoison(batch, size);
    frame_block* const next = batch->next;
    ::operator delete(batch, size, std::align_val_t{frame_alignment});
    batch = next;
  }
}

}  // namespace

frame_depot::~frame_depot() {
  for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
    while (frame_block* const batch = try_pop(size_class)) {
      give_to_heap(batch, bytes_of(size_class));
    }
  }
}

bool frame_depot::try_push(std::size_t size_class, frame_block* batch) noexcept {
  const std::size_t bytes = blocks_per_batch(size_class) * bytes_of(size_class);
  // relaxed: a bound on a sum; the batches themselves are handed over by the lock.
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > bytes_max_) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  unpoison(batch, sizeof(frame_block));
  shelf& here = shelves_[size_class];
  const std::lock_guard guard(here.lock);
  batch->next_batch = here.newest;
  poison(batch, sizeof(frame_block));
  here.newest = batch;
  return true;
}

frame_block* frame_depot::try_pop(std::size_t size_class) noexcept {
  shelf& here = shelves_[size_class];
  const std::lock_guard guard(here.lock);
  frame_block* const batch = here.newest;
  if (batch != nullptr) {
    unpoison(batch, sizeof(frame_block));
    here.newest = batch->next_batch;
    poison(batch, sizeof(frame_block));
    bytes_.fetch_sub(blocks_per_batch(size_class) * bytes_of(size_class),
                     std::memory_order_relaxed);  // relaxed: see try_push
  }
  return batch;
}

frame_cache::frame_cache(frame_depot* depot) noexcept : depot_(depot), quick_(!poisons()) {
  for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
    lists_[size_class] = {&bottom, nullptr, blocks_per_batch(size_class)};
  }
}

frame_cache::~frame_cache() {
  for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
    const free_list& list = lists_[size_class];
    give_to_heap(list.top, bytes_of(size_class));
    if (list.reserve != nullptr) {
      give_to_heap(list.reserve, bytes_of(size_class));
    }
  }
}

void* frame_cache::allocate_slowly(std::size_t size) {
  const std::size_t size_class = class_of(size);
  if (size_class < frame_class_count) {
    free_list& list = lists_[size_class];
    if (list.top == &bottom) {
      open_another_batch(list);
    }
    if (frame_block* const block = list.top; block != &bottom) {
      unpoison(block, bytes_of(size_class));
      list.top = block->next;
      count(allocated_);
      return block;
    }
  }
  void* const block = allocate_uncached(size);
  count(allocated_);
  return block;
}

void frame_cache::deallocate_slowly(void* memory, std::size_t size) noexcept {
  count(freed_);
  const std::size_t size_class = class_of(size);
  if (size_class >= frame_class_count) {
    deallocate_uncached(memory, size);
    return;
  }
  free_list& list = lists_[size_class];
  if (depth_of(list.top) == list.batch_size) {
    put_batch_aside(list);
  }
  frame_block* const top = list.top;
  list.top = ::new (memory) frame_block{top, depth_of(top) + 1, nullptr};
  poison(memory, bytes_of(size_class));
}

// For an empty open batch: takes the reserve, else one from the depot, else leaves it empty.
void frame_cache::open_another_batch(free_list& list) noexcept {
  frame_block* batch = std::exchange(list.reserve, nullptr);
  if (batch == nullptr && depot_ != nullptr) {
    batch = depot_->try_pop(static_cast<std::size_t>(&list - lists_.data()));
  }
  if (batch != nullptr) {
    list.top = batch;
  }
}

// For a full open batch: it becomes the reserve, and the reserve before it goes to the depot.
void frame_cache::put_batch_aside(free_list& list) noexcept {
  const auto size_class = static_cast<std::size_t>(&list - lists_.data());
  frame_block* const batch = std::exchange(list.reserve, std::exchange(list.top, &bottom));
  if (batch != nullptr && (depot_ == nullptr || !depot_->try_push(size_class, batch))) {
    give_to_heap(batch, bytes_of(size_class));
  }
}

std::size_t frame_cache::heap_size(std::size_t size) noexcept {
  return class_of(size) < frame_class_count ? bytes_of(class_of(size)) : size;
}

void* frame_cache::allocate_uncached(std::size_t size) {
  return ::operator new(heap_size(size), std::align_val_t{frame_alignment});
}

void frame_cache::deallocate_uncached(void* block, std::size_t size) noexcept {
  ::operator delete(block, heap_size(size), std::align_val_t{frame_alignment});
}

std::size_t frame_cache::cached_bytes() const noexcept {
  std::size_t sum = 0;
  for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
    const free_list& list = lists_[size_class];
    const std::size_t reserved = list.reserve != nullptr ? list.batch_size : 0;
    sum += (depth_of(list.top) + reserved) * bytes_of(size_class);
  }
  return sum;
}

}  // namespace weft::detail

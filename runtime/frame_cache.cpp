// SPDX-License-Identifier: MIT
#include "weft/runtime/frame_cache.hpp"

#include "weft/runtime/assert.hpp"

#include <atomic>
#include <new>
#include <utility>

// Defined by AddressSanitizer's run-time library. A test at run time, since a program built with
// the sanitizer may well link a library built without.
extern "C" [[gnu::weak]] void __asan_poison_memory_region(const volatile void* address,
                                                          std::size_t size) noexcept;

namespace weft::detail {

namespace {

/// The lists of threads without a worker.
constinit frame_lists no_lists;

/// Frames made less frames ended on threads without a worker, by workers that have ended, and in
/// the heap.
constinit std::atomic<std::int64_t> bytes_elsewhere{0};

void count_elsewhere(std::int64_t bytes) noexcept {
  bytes_elsewhere.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: a statistic
}
void count_elsewhere(std::size_t bytes) noexcept {
  count_elsewhere(static_cast<std::int64_t>(bytes));
}

/// So many calls ask the lists, once the stack was full, before it is looked through again.
constexpr unsigned full_calls_max = 64;

bool heap_only() noexcept { return __asan_poison_memory_region != nullptr; }

bool in_heap(std::size_t bytes) noexcept { return bytes > frame_cached_max || heap_only(); }

void* allocate_in_heap(std::size_t bytes) {
  void* const p = ::operator new(bytes, std::align_val_t{frame_alignment});
  count_elsewhere(bytes);
  return p;
}

void deallocate_in_heap(void* p, std::size_t bytes) noexcept {
  ::operator delete(p, bytes, std::align_val_t{frame_alignment});
  count_elsewhere(-static_cast<std::int64_t>(bytes));
}

void* allocate_block_elsewhere(std::size_t bytes) {
  frame_block* const block = frame_store::instance().take_blocks(frame_class(bytes), 1);
  if (block == &no_block) throw std::bad_alloc();
  count_elsewhere(frame_bytes(bytes));
  return block;
}

void deallocate_block_elsewhere(void* p, std::size_t bytes) noexcept {
  frame_store::instance().give_blocks(frame_class(bytes), ::new (p) frame_block{&no_block, 1});
  count_elsewhere(-static_cast<std::int64_t>(frame_bytes(bytes)));
}

/// For a frame in the stack of another thread's worker.
void give_back(stack_page& page, void* p, std::size_t bytes) noexcept {
  const auto granules = static_cast<std::uint32_t>(frame_bytes(bytes) / frame_alignment);
  if (page.returns.give(*::new (p) returned_frame{nullptr, granules})) {
    count_elsewhere(-static_cast<std::int64_t>(page.orphaned_bytes));
    frame_store::instance().give_page(page);
  }
}

}  // namespace

}  // namespace weft::detail

extern "C" {
[[gnu::used, gnu::tls_model("initial-exec")]] constinit thread_local weft::detail::frame_source
    weft_this_frame_source = {0, 0, &weft::detail::no_lists};
}

namespace weft::detail {

#if !(defined(__x86_64__) && defined(__LP64__))
frame_source& this_frame_source() noexcept {
  frame_source* here = &weft_this_frame_source;
  asm volatile("" : "+r"(here) : : "memory");
  return *here;
}
#endif

void* allocate_frame_slowly(std::size_t bytes) {
  if (in_heap(bytes)) return allocate_in_heap(bytes);
  frame_source& here = weft_this_frame_source;
  if (here.lists == &no_lists) return allocate_block_elsewhere(bytes);
  auto& cache = static_cast<frame_cache&>(*here.lists);
  if (!cache.make_room(here, frame_bytes(bytes))) return cache.allocate_block(bytes);
  return std::bit_cast<void*>(std::exchange(here.top, here.top + frame_bytes(bytes)));
}

void deallocate_frame_slowly(void* p, std::size_t bytes) noexcept {
  frame_source& here = weft_this_frame_source;
  if (bytes <= frame_cached_max && stack_page::end_above(p) == here.end) [[likely]] {
    auto& in_use = static_cast<stack_page&>(page_of(p));
    in_use.add_hole(p, frame_bytes(bytes));
    here.top = in_use.lowered(here.top);
    return;
  }
  if (in_heap(bytes)) return deallocate_in_heap(p, bytes);
  frame_page& page = page_of(p);
  if (page.kind == frame_page_kind::blocks) {
    if (here.lists == &no_lists) return deallocate_block_elsewhere(p, bytes);
    return static_cast<frame_cache&>(*here.lists).deallocate_block(p, bytes);
  }
  auto& stack = static_cast<stack_page&>(page);
  frame_cache* const owner = stack.owner.load(std::memory_order_relaxed);  // relaxed: see there
  if (owner != nullptr && owner == here.lists) return owner->end_on_stack(here, stack, p, bytes);
  give_back(stack, p, bytes);
}

void* allocate_record_slowly(std::size_t bytes) {
  if (in_heap(bytes)) return allocate_in_heap(bytes);
  frame_lists* const lists = weft_this_frame_source.lists;
  if (lists == &no_lists) return allocate_block_elsewhere(bytes);
  return static_cast<frame_cache*>(lists)->allocate_block(bytes);
}

void deallocate_record_slowly(void* p, std::size_t bytes) noexcept {
  if (in_heap(bytes)) return deallocate_in_heap(p, bytes);
  frame_lists* const lists = weft_this_frame_source.lists;
  if (lists == &no_lists) return deallocate_block_elsewhere(p, bytes);
  static_cast<frame_cache*>(lists)->deallocate_block(p, bytes);
}

frame_cache::frame_cache() noexcept {
  if (heap_only()) return;
  for (std::size_t size_class = 0; size_class != frame_class_count; ++size_class)
    classes[size_class].blocks_max = frame_batch_blocks(size_class);
}

frame_cache::~frame_cache() {
  WEFT_ASSERT(weft_this_frame_source.lists != this, "a frame cache ends while it is bound");
  frame_store& store = frame_store::instance();
  count_elsewhere(drawn_ - static_cast<std::int64_t>(listed_bytes()));
  for (std::size_t size_class = 0; size_class != frame_class_count; ++size_class) {
    list& l = classes[size_class];
    store.give_blocks(size_class, l.top);
    if (l.reserve != nullptr) store.give_blocks(size_class, l.reserve);
  }
  if (stack_ != nullptr && stack_->above != nullptr) store.give_page(*stack_->above);
  while (stack_ != nullptr) {
    stack_page& page = *std::exchange(stack_, stack_->below);
    leave_page(page);
  }
}

// At the cache's end: frames of others may still lie in it.
void frame_cache::leave_page(stack_page& page) noexcept {
  page.owner.store(nullptr, std::memory_order_relaxed);  // relaxed: see there
  for (;;) {
    page.take_returned();
    const std::uint32_t live = page.live_granules(page.top);
    if (live == 0) return frame_store::instance().give_page(page);
    page.orphaned_bytes = live * frame_alignment;
    if (page.returns.orphan(live)) return count_elsewhere(live * frame_alignment);
  }
}

void frame_cache::bind() noexcept {
  frame_source& here = weft_this_frame_source;
  WEFT_ASSERT(here.lists == &no_lists, "this thread has a frame cache");
  here.lists = this;
  if (stack_ != nullptr) use_page(here, *stack_);
}

void frame_cache::unbind() noexcept {
  frame_source& here = weft_this_frame_source;
  if (stack_ != nullptr) stack_->top = here.top;
  here = {0, 0, &no_lists};
}

void frame_cache::use_page(frame_source& here, stack_page& page) noexcept {
  stack_ = &page;
  here.top = page.top;
  here.end = page.end();
}

bool frame_cache::make_room(frame_source& here, std::size_t bytes) noexcept {
  if (stack_ == nullptr) return add_page(here);
  if (stack_page* const above = stack_->above) {
    stack_->top = here.top;
    use_page(here, *above);
    return true;
  }
  if (full_calls_ != 0) {
    --full_calls_;
    return false;
  }
  sweep(here);
  if (here.top + bytes <= here.end || add_page(here)) return true;
  full_calls_ = full_calls_max;
  return false;
}

bool frame_cache::add_page(frame_source& here) noexcept {
  if (stack_pages_ == stack_pages_max) return false;
  frame_page* const page = frame_store::instance().take_page();
  if (page == nullptr) return false;
  stack_page& added = stack_page::make(*page, this);
  ++stack_pages_;
  if (stack_ != nullptr) {
    stack_->top = here.top;
    stack_->above = &added;
    added.below = stack_;
  }
  use_page(here, added);
  return true;
}

// Takes what others have given back, and brings the tops down over it.
void frame_cache::sweep(frame_source& here) noexcept {
  stack_->take_returned();
  here.top = stack_->lowered(here.top);
  for (stack_page* page = stack_->below; page != nullptr;) {
    stack_page* const below = page->below;
    page->take_returned();
    page->top = page->lowered(page->top);
    if (page->top == page->bottom()) remove_page(*page);
    page = below;
  }
}

void frame_cache::remove_page(stack_page& page) noexcept {
  if (page.below != nullptr) page.below->above = page.above;
  if (page.above != nullptr) page.above->below = page.below;
  --stack_pages_;
  frame_store::instance().give_page(page);
}

// In another page than the one in use.
void frame_cache::end_on_stack(frame_source& here, stack_page& page, void* p,
                               std::size_t bytes) noexcept {
  page.add_hole(p, frame_bytes(bytes));
  page.top = page.lowered(page.top);
  here.top = stack_->lowered(here.top);
  if (stack_->below == &page && here.top == stack_->bottom()) {
    // The page in use is empty: back to the one below, and keep this one for the next time.
    if (stack_->above != nullptr) remove_page(*stack_->above);
    stack_->top = here.top;
    use_page(here, page);
  } else if (page.top == page.bottom()) {
    remove_page(page);
  }
}

void* frame_cache::allocate_block(std::size_t bytes) {
  const std::size_t size_class = frame_class(bytes);
  list& l = classes[size_class];
  if (l.top == &no_block) {
    if (l.reserve != nullptr) {
      l.top = std::exchange(l.reserve, nullptr);
    } else {
      l.top = frame_store::instance().take_blocks(size_class, l.blocks_max);
      drawn_ += static_cast<std::int64_t>(l.top->depth * frame_class_bytes(size_class));
    }
  }
  if (l.top == &no_block) throw std::bad_alloc();
  return std::exchange(l.top, l.top->next);
}

void frame_cache::deallocate_block(void* p, std::size_t bytes) noexcept {
  const std::size_t size_class = frame_class(bytes);
  list& l = classes[size_class];
  if (l.top->depth == l.blocks_max) {
    if (l.reserve != nullptr) {
      drawn_ -= static_cast<std::int64_t>(l.blocks_max * frame_class_bytes(size_class));
      frame_store::instance().give_blocks(size_class, l.reserve);
    }
    l.reserve = std::exchange(l.top, &no_block);
  }
  l.top = ::new (p) frame_block{l.top, l.top->depth + 1};
}

std::int64_t frame_cache::live_bytes() noexcept {
  std::int64_t live = drawn_ - static_cast<std::int64_t>(listed_bytes());
  const bool bound = weft_this_frame_source.lists == this;
  for (stack_page* page = stack_; page != nullptr; page = page->below) {
    page->take_returned();
    const bool in_use = bound && page == stack_;
    live += page->live_granules(in_use ? weft_this_frame_source.top : page->top) *
            std::int64_t{frame_alignment};
  }
  return live;
}

std::size_t frame_cache::listed_bytes() const noexcept {
  std::size_t sum = 0;
  for (std::size_t size_class = 0; size_class != frame_class_count; ++size_class) {
    const list& l = classes[size_class];
    const std::size_t reserved = l.reserve != nullptr ? l.blocks_max : 0;
    sum += (l.top->depth + reserved) * frame_class_bytes(size_class);
  }
  return sum;
}

std::int64_t live_frame_bytes() noexcept {
  // relaxed: a statistic
  const std::int64_t elsewhere = bytes_elsewhere.load(std::memory_order_relaxed);
  frame_lists* const lists = weft_this_frame_source.lists;
  return lists == &no_lists ? elsewhere
                            : elsewhere + static_cast<frame_cache*>(lists)->live_bytes();
}

}  // namespace weft::detail

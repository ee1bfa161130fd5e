// SPDX-License-Identifier: MIT
#include "weft/runtime/timer_queue.hpp"

#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <new>

namespace weft::detail {

namespace {

constexpr std::size_t segment_alignment = 64;

void* allocate_segment(std::size_t bytes) noexcept {
  return ::operator new(bytes, std::align_val_t{segment_alignment}, std::nothrow);
}

void release_segment_memory(void* memory, std::size_t bytes) noexcept {
  ::operator delete(memory, bytes, std::align_val_t{segment_alignment});
}

constexpr timer_memory heap{allocate_segment, release_segment_memory};

}  // namespace

const timer_memory& timer_memory_from_heap() noexcept { return heap; }

timer_queue::~timer_queue() {
  while (segment_count_ != 0) {
    release_segment();
  }
}

void timer_queue::insert(timer& t) noexcept {
  WEFT_ASSERT(!t.queued(),
              "a timer is in one queue at a time: remove it before it is inserted again");
  t.sequence = next_sequence_++;
  if (end_ >= segment_begin(segment_count_) && !try_add_segment()) [[unlikely]] {
    insert_unheaped(t);
    return;
  }
  rise(end_++, {t.deadline_ns, &t});
}

void timer_queue::remove(timer& t) noexcept {
  if (t.position == unheaped_position) [[unlikely]] {
    remove_unheaped(t);
  } else if (t.queued()) {
    take_out(t.position);
    t.position = 0;
  }
}

timer* timer_queue::pop_expired(std::int64_t now_ns) noexcept {
  timer* first = end_ != root ? at(root).node : nullptr;
  if (unheaped_ != nullptr) [[unlikely]] {
    timer* const other = earliest_unheaped();
    if (first == nullptr || before({other->deadline_ns, other}, {first->deadline_ns, first})) {
      first = other;
    }
  }
  if (first == nullptr || first->deadline_ns > now_ns) {
    return nullptr;
  }
  remove(*first);
  return first;
}

void timer_queue::place(std::size_t position, const entry& e) noexcept {
  at(position) = e;
  e.node->position = position;
}

// Puts `e` into the hole or above it.
void timer_queue::rise(std::size_t hole, const entry& e) noexcept {
  while (hole != root) {
    const std::size_t parent = hole / 4 + 2;
    const entry& above = at(parent);
    if (!before(e, above)) {
      break;
    }
    place(hole, above);
    hole = parent;
  }
  place(hole, e);
}

// Fetches the four lines of which one is read next: a quarter of the time of a million timers
// expiring, which is spent waiting for memory. Past a segment's end the address is useless, but
// harmless.
void timer_queue::prefetch_children_of_four(std::size_t position) const noexcept {
  const std::size_t child = 4 * position - 8;
  if (child < end_) {
    const auto address = reinterpret_cast<std::uintptr_t>(&at(child));
    for (std::uintptr_t line = 0; line < 4; ++line) {
      __builtin_prefetch(reinterpret_cast<const void*>(address + 64 * line));
    }
  }
}

// Moves the first of its children into the hole, and so on down to a leaf, which is returned. Not
// comparing with the entry that will fill the hole saves a comparison a level: that entry was last
// and mostly stays low.
std::size_t timer_queue::sink_hole(std::size_t hole) noexcept {
  for (;;) {
    const std::size_t child = 4 * hole - 8;
    if (child + 4 <= end_) [[likely]] {
      prefetch_children_of_four(child);
      const entry* const four = &at(child);
      const std::size_t left = before(four[1], four[0]) ? 1 : 0;
      const std::size_t right = before(four[3], four[2]) ? 3 : 2;
      const std::size_t first = before(four[right], four[left]) ? right : left;
      place(hole, four[first]);
      hole = child + first;
      continue;
    }
    if (child >= end_) {
      return hole;
    }
    std::size_t first = child;
    for (std::size_t other = child + 1; other < end_; ++other) {
      if (before(at(other), at(first))) {
        first = other;
      }
    }
    place(hole, at(first));
    hole = first;
  }
}

void timer_queue::take_out(std::size_t position) noexcept {
  const entry last = at(--end_);
  if (position != end_) {
    if (position != root && before(last, at(position / 4 + 2))) {
      rise(position, last);
    } else {
      // rise stops at `position` at the latest: what is above it comes before `last`.
      rise(sink_hole(position), last);
    }
  }
  if (unheaped_ != nullptr) [[unlikely]] {
    timer& t = *earliest_unheaped();
    remove_unheaped(t);
    rise(end_++, {t.deadline_ns, &t});
  }
  // A segment goes when it and half of all before it are empty, so that a size which goes up and
  // down around an edge does not allocate each time.
  if (segment_count_ > 1 && end_ <= segment_begin(segment_count_ - 1) / 2) [[unlikely]] {
    release_segment();
  }
}

bool timer_queue::try_add_segment() noexcept {
  if (segment_count_ == segments_max) {
    return false;
  }
  const std::size_t entries = segment_begin(segment_count_ + 1) - segment_begin(segment_count_);
  void* const memory = memory_.allocate(entries * sizeof(entry));
  if (memory == nullptr) {
    return false;
  }
  segments_[segment_count_++] = static_cast<entry*>(memory);
  return true;
}

void timer_queue::release_segment() noexcept {
  const std::size_t begin = segment_begin(--segment_count_);
  const std::size_t entries = segment_begin(segment_count_ + 1) - begin;
  memory_.release(std::exchange(segments_[segment_count_], nullptr), entries * sizeof(entry));
}

void timer_queue::insert_unheaped(timer& t) noexcept {
  t.position = unheaped_position;
  t.next_unheaped = std::exchange(unheaped_, &t);
  ++unheaped_count_;
}

void timer_queue::remove_unheaped(timer& t) noexcept {
  timer** link = &unheaped_;
  while (*link != &t) {
    WEFT_ASSERT(*link != nullptr, "a timer that waits for memory is in the list of its own queue");
    link = &(*link)->next_unheaped;
  }
  *link = t.next_unheaped;
  t.position = 0;
  --unheaped_count_;
}

timer* timer_queue::earliest_unheaped() const noexcept {
  timer* first = unheaped_;
  for (timer* t = first; t != nullptr; t = t->next_unheaped) {
    if (before({t->deadline_ns, t}, {first->deadline_ns, first})) {
      first = t;
    }
  }
  return first;
}

std::int64_t timer_queue::next_deadline_slowly() const noexcept {
  const std::int64_t first = earliest_unheaped()->deadline_ns;
  return end_ != root ? std::min(first, at(root).deadline_ns) : first;
}

}  // namespace weft::detail

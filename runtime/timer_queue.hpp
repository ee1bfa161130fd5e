// SPDX-License-Identifier: MIT
#pragma once

// A worker's own timers: 64-bit nanoseconds, never early, in the order of their deadlines, and
// among equal deadlines in the order of insertion. A timer is an intrusive node of whoever waits;
// what it does when it is due is its owner's business (derive from it).
//
// The queue is a heap of four children a node whose entries {deadline, node} lie in segments that
// double in size. Segments are never copied, so no single insert pays for a million others, and
// each four siblings share a cache line. Equal deadlines are told apart by a number in the node,
// which is read for them only.
//
// insert cannot fail: when no memory is to be had for a segment, the timer goes to a list that is
// searched from end to end (correct but linear), and moves to the heap as soon as another timer
// leaves it.

#include "weft/runtime/atomics.hpp"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>
#include <utility>

namespace weft::detail {

inline constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

/// What a timer_queue holds. Outlives its stay in the queue; may be used again after it.
struct timer {
  /// Set before insert, then untouched until the timer has left the queue.
  std::int64_t deadline_ns = no_deadline;

  [[nodiscard]] bool queued() const noexcept { return position != 0; }

  // The queue's. Position in the heap (3 and up), 1 for the list, 0 for none.
  plain<std::size_t> position = 0;
  std::uint64_t sequence = 0;
  timer* next_unheaped = nullptr;
};

/// Where segments come from; for tests of what happens without memory.
struct timer_memory {
  void* (*allocate)(std::size_t bytes) noexcept;  // 64-byte aligned, or null
  void (*release)(void* memory, std::size_t bytes) noexcept;
};

[[nodiscard]] const timer_memory& timer_memory_from_heap() noexcept;

/// Owner thread only.
class timer_queue {
public:
  explicit timer_queue(const timer_memory& memory = timer_memory_from_heap()) noexcept
      : memory_(memory) {}
  timer_queue(const timer_queue&) = delete;
  timer_queue& operator=(const timer_queue&) = delete;
  /// Timers that are still queued are left alone, and no one may remove them any more.
  ~timer_queue();

  /// Cost: O(log n); at times one allocation, whose failure costs speed and nothing else.
  void insert(timer& t) noexcept;

  /// Does nothing when `t` is not queued. Cost: O(log n).
  void remove(timer& t) noexcept;

  /// The next timer with a deadline of at most `now_ns`, out of the queue already; or null.
  [[nodiscard]] timer* pop_expired(std::int64_t now_ns) noexcept;

  /// `no_deadline` when empty.
  [[nodiscard]] std::int64_t next_deadline() const noexcept {
    if (unheaped_ != nullptr) [[unlikely]] {
      return next_deadline_slowly();
    }
    return end_ != root ? at(root).deadline_ns : no_deadline;
  }

  [[nodiscard]] std::size_t size() const noexcept { return end_ - root + unheaped_count_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// Memory held for the heap.
  [[nodiscard]] std::size_t segment_bytes() const noexcept {
    return segment_begin(segment_count_) * sizeof(entry);
  }

private:
  struct entry {
    std::int64_t deadline_ns;
    timer* node;
  };

  // Positions start at 3, so that the four children of p, 4p-8 to 4p-5, begin at a multiple of
  // four.
  static constexpr std::size_t root = 3;
  static constexpr std::size_t unheaped_position = 1;
  static constexpr std::size_t first_segment = 64;
  static constexpr std::size_t segments_max = 36;

  static constexpr std::size_t segment_begin(std::size_t segment) noexcept {
    return ((first_segment / 2) << segment) & ~(first_segment - 1);
  }
  [[nodiscard]] entry& at(std::size_t position) const noexcept {
    const auto segment = static_cast<std::size_t>(std::bit_width(position / first_segment));
    return segments_[segment][position - segment_begin(segment)];
  }
  static bool before(const entry& left, const entry& right) noexcept {
    if (left.deadline_ns == right.deadline_ns) [[unlikely]] {
      return left.node->sequence < right.node->sequence;
    }
    return left.deadline_ns < right.deadline_ns;
  }

  void place(std::size_t position, const entry& e) noexcept;
  void rise(std::size_t hole, const entry& e) noexcept;
  [[nodiscard]] std::size_t sink_hole(std::size_t hole) noexcept;
  void prefetch_children_of_four(std::size_t position) const noexcept;
  void take_out(std::size_t position) noexcept;
  [[nodiscard]] bool try_add_segment() noexcept;
  void release_segment() noexcept;
  void insert_unheaped(timer& t) noexcept;
  void remove_unheaped(timer& t) noexcept;
  [[nodiscard]] timer* earliest_unheaped() const noexcept;
  [[nodiscard]] std::int64_t next_deadline_slowly() const noexcept;

  const timer_memory& memory_;
  std::size_t end_ = root;
  std::size_t segment_count_ = 0;
  std::uint64_t next_sequence_ = 0;
  timer* unheaped_ = nullptr;
  std::size_t unheaped_count_ = 0;
  std::array<entry*, segments_max> segments_{};
};

/// `now_ns` and `wait` later: rounded up to whole nanoseconds, `no_deadline` where that would
/// overflow, and `now_ns` for what is not positive (or not a number).
template <class Rep, class Period>
[[nodiscard]] constexpr std::int64_t
deadline_after(std::int64_t now_ns, std::chrono::duration<Rep, Period> wait) noexcept {
  using to_ns = std::ratio_divide<Period, std::nano>;
  if (!(wait.count() > Rep{})) {
    return now_ns;
  }
  std::int64_t ns = 0;
  if constexpr (std::is_floating_point_v<Rep>) {
    const long double exact = static_cast<long double>(wait.count()) * to_ns::num / to_ns::den;
    if (!(exact < 0x1p63L)) {
      return no_deadline;
    }
    ns = static_cast<std::int64_t>(exact);
    if (static_cast<long double>(ns) < exact) {
      ++ns;
    }
  } else {
    if (std::cmp_greater(wait.count(), no_deadline) ||
        __builtin_mul_overflow(static_cast<std::int64_t>(wait.count()), to_ns::num, &ns)) {
      return no_deadline;
    }
    ns = ns / to_ns::den + (ns % to_ns::den != 0 ? 1 : 0);
  }
  std::int64_t deadline = 0;
  return __builtin_add_overflow(now_ns, ns, &deadline) ? no_deadline : deadline;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The stable sort: halves are sorted, and merged to and fro between the range and a buffer as long
// as it. The merges are divided too, where a binary search finds which elements of both halves come
// first. A place of the buffer holds an object only as long as a sorted piece lies there: moving
// into it constructs, moving out of it destroys.
//
// After a failure or a stop nothing is compared any more, but every piece is still moved to where
// it belongs, so that all elements are back in the range at the end.

#include "weft/runtime/task.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/parallel_work.hpp"
#include "weft/sched/detail/short_sort.hpp"
#include "weft/sched/detail/sub_job.hpp"

#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

namespace weft::detail {

/// What is sorted in one go.
inline constexpr std::size_t sorted_at_once = 2048;

template <class It, class Less>
struct sort_range {
  using value = std::iter_value_t<It>;

  It first;
  value* buffer;  // as long, without objects
  const Less& less;
  bool stable;

  It at(std::size_t i) const { return first + static_cast<std::iter_difference_t<It>>(i); }
};

/// Merges two neighbouring sorted pieces; `ToBuffer`: from the range to the buffer, else back.
template <bool ToBuffer, class It, class Less>
class merge_job : public sub_job {
public:
  static constexpr bool awaits = false;
  using range = sort_range<It, Less>;

  /// What is left of the two pieces, and where the next one goes.
  struct part {
    std::size_t left;
    std::size_t left_end;
    std::size_t right;
    std::size_t right_end;
    std::size_t out;
    std::size_t left_middle = 0;  // where it was found to be divided
    std::size_t right_middle = 0;
  };

  merge_job(parallel_job& whole, const range& r) noexcept : sub_job(whole), range_(r) {}

  void run(part& p, std::size_t begin, std::size_t end) const {
    step s(range_, p);
    for (std::size_t left = end - begin; left != 0; --left) {
      if (s.p.left == s.p.left_end)
        s.take_right();
      else if (s.p.right == s.p.right_end ||
               !range_.less(from(range_, s.p.right), from(range_, s.p.left)))
        s.take_left();
      else
        s.take_right();
    }
  }
  /// How many of the left piece are among the first half of what is left.
  std::size_t middle(part& p, std::size_t begin, std::size_t end) const {
    const std::size_t count = (end - begin) / 2;
    const std::size_t lefts = p.left_end - p.left;
    const std::size_t rights = p.right_end - p.right;
    std::size_t least = count > rights ? count - rights : 0;
    std::size_t most = count < lefts ? count : lefts;
    while (least < most) {
      const std::size_t taken = least + (most - least) / 2;
      // A left one comes before all right ones that are not less.
      if (range_.less(from(range_, p.right + (count - taken) - 1), from(range_, p.left + taken)))
        most = taken;
      else
        least = taken + 1;
    }
    p.left_middle = p.left + least;
    p.right_middle = p.right + (count - least);
    return begin + count;
  }
  static part part_from(const part& p, std::size_t) noexcept {
    return {p.left_middle, p.left_end, p.right_middle, p.right_end,
            p.out + (p.left_middle - p.left) + (p.right_middle - p.right)};
  }
  static void divided(part& p) noexcept {
    p.left_end = p.left_middle;
    p.right_end = p.right_middle;
  }
  static void join(part&, part&) noexcept {}
  void give_up(part& p) const noexcept {
    step s(range_, p);
    while (s.p.left != s.p.left_end) s.take_left();
    while (s.p.right != s.p.right_end) s.take_right();
  }

private:
  static decltype(auto) from(const range& r, std::size_t i) {
    if constexpr (ToBuffer)
      return *r.at(i);
    else
      return (r.buffer[i]);
  }

  /// A part in registers; written back also when a comparison throws, between two moves.
  struct step {
    step(const range& r, part& whole) noexcept : range_(r), home(whole), p(whole) {}
    step(const step&) = delete;
    step& operator=(const step&) = delete;
    ~step() { home = p; }

    void take_left() noexcept { take(p.left++); }
    void take_right() noexcept { take(p.right++); }
    void take(std::size_t i) noexcept {
      if constexpr (ToBuffer) {
        std::construct_at(range_.buffer + p.out, std::move(*range_.at(i)));
      } else {
        *range_.at(p.out) = std::move(range_.buffer[i]);
        std::destroy_at(range_.buffer + i);
      }
      ++p.out;
    }

    const range range_;
    part& home;
    part p;
  };

  const range& range_;
};

template <class It, class Less>
void move_to_buffer(const sort_range<It, Less>& r, std::size_t begin, std::size_t end) noexcept {
  for (std::size_t i = begin; i != end; ++i) std::construct_at(r.buffer + i, std::move(*r.at(i)));
}

/// Merges two neighbouring sorted pieces in one go.
template <bool ToBuffer, class It, class Less>
void merge_in_one_go(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
                     std::size_t middle, std::size_t end) noexcept {
  merge_job<ToBuffer, It, Less> merging(job, r);
  typename merge_job<ToBuffer, It, Less>::part all{begin, middle, middle, end, begin};
  try {
    if (!job.is_incomplete()) merging.run(all, 0, end - begin);
  } catch (...) {
    job.fail();
  }
  merging.give_up(all);
}

/// Sorts a short piece in one go.
template <class It, class Less>
void sort_piece(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
                std::size_t end, bool to_buffer) noexcept {
  if (end - begin <= inserted_max || !r.stable) {
    try {
      if (!job.is_incomplete()) sort_in_place(r.at(begin), r.at(end), r.less);
    } catch (...) {
      job.fail();
    }
    if (to_buffer) move_to_buffer(r, begin, end);
    return;
  }
  const std::size_t middle = begin + (end - begin) / 2;
  sort_piece(job, r, begin, middle, !to_buffer);
  sort_piece(job, r, middle, end, !to_buffer);
  if (to_buffer)
    merge_in_one_go<true>(job, r, begin, middle, end);
  else
    merge_in_one_go<false>(job, r, begin, middle, end);
}

template <class It, class Less>
task<> merge_sort(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
                  std::size_t end, bool to_buffer);

/// Both halves. False, with nothing begun, when there is no memory for their frames.
template <class It, class Less>
task<bool> merge_sort_halves(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
                             std::size_t middle, std::size_t end, bool to_buffer) {
  task<> left = merge_sort(job, r, begin, middle, to_buffer);
  task<> right = merge_sort(job, r, middle, end, to_buffer);
  auto both = when_all(std::move(left), std::move(right));
  co_await both;
  co_return true;
}

template <bool ToBuffer, class It, class Less>
task<> merge(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
             std::size_t middle, std::size_t end) {
  merge_job<ToBuffer, It, Less> merging(job, r);
  typename merge_job<ToBuffer, It, Less>::part all{begin, middle, middle, end, begin};
  bool begun = false;
  try {
    task<> working = work(merging, all, 0, end - begin, pace(0));
    begun = true;
    co_await std::move(working);
  } catch (...) {
    job.fail();
  }
  if (!begun) merging.give_up(all);
}

template <class It, class Less>
task<> merge_sort(parallel_job& job, const sort_range<It, Less>& r, std::size_t begin,
                  std::size_t end, bool to_buffer) {
  if (end - begin <= sorted_at_once) {
    pace p(0);
    p.start();
    if (job.halted()) job.cut_off();
    sort_piece(job, r, begin, end, to_buffer);
    if (job.must_give_way(p, end - begin)) {
      give_way others;
      co_await others;
    }
    co_return;
  }
  const std::size_t middle = begin + (end - begin) / 2;
  bool sorted = false;  // both halves are where the merge looks for them
  try {
    task<bool> halves = merge_sort_halves(job, r, begin, middle, end, !to_buffer);
    sorted = co_await std::move(halves);
  } catch (...) {
    job.fail();
  }
  if (!sorted) {
    if (to_buffer) move_to_buffer(r, begin, end);
    co_return;
  }
  bool merged = false;
  try {
    task<> merging = to_buffer ? merge<true>(job, r, begin, middle, end)
                               : merge<false>(job, r, begin, middle, end);
    merged = true;
    co_await std::move(merging);
  } catch (...) {
    job.fail();
  }
  if (merged) co_return;
  if (to_buffer) {
    move_to_buffer(r, begin, end);
  } else {
    for (std::size_t i = begin; i != end; ++i) {
      *r.at(i) = std::move(r.buffer[i]);
      std::destroy_at(r.buffer + i);
    }
  }
}

/// Memory for a number of objects, none of which lives in it at the end.
template <class T>
class sort_buffer {
public:
  explicit sort_buffer(std::size_t count)
      : count_(count), memory_(std::allocator<T>().allocate(count)) {}
  sort_buffer(const sort_buffer&) = delete;
  sort_buffer& operator=(const sort_buffer&) = delete;
  ~sort_buffer() { std::allocator<T>().deallocate(memory_, count_); }

  T* get() const noexcept { return memory_; }

private:
  const std::size_t count_;
  T* const memory_;
};

/// The whole range, which is longer than a piece.
template <class It, class Less>
task<> merge_sort_all(parallel_job& job, It first, std::size_t count, const Less& less,
                      bool stable) {
  const sort_buffer<std::iter_value_t<It>> buffer(count);
  const sort_range<It, Less> r{first, buffer.get(), less, stable};
  task<> sorting = merge_sort(job, r, 0, count, false);
  co_await std::move(sorting);
}

}  // namespace weft::detail

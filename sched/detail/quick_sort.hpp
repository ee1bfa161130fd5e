// SPDX-License-Identifier: MIT
#pragma once
// The sort that is not stable, for elements that are cheap to copy: quicksort with a partition that
// has no branch to mispredict (two stores for each element, wherever it belongs), which is two to
// three times as fast as std::sort for numbers. A long partition is divided like every job: two
// parts partition neighbouring pieces, and the elements between their borders are exchanged.
// Elements are swapped, never held elsewhere, so a stop between two chunks leaves all of them.

#include "weft/runtime/task.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/insertion_sort.hpp"
#include "weft/sched/detail/merge_sort.hpp"
#include "weft/sched/detail/parallel_work.hpp"
#include "weft/sched/detail/sub_job.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace weft::detail {

/// Brings what belongs before the border there: elements less than the pivot, or (`Equal`) those
/// that are not greater.
template <bool Equal, class It, class T, class Less>
std::size_t partition_piece(It first, std::size_t border, std::size_t begin, std::size_t end,
                            T pivot, const Less& less) {
  using difference = std::iter_difference_t<It>;
  It low = first + static_cast<difference>(border);
  const It last = first + static_cast<difference>(end);
  for (It it = first + static_cast<difference>(begin); it != last; ++it) {
    const T here = *it;
    *it = *low;
    *low = here;
    bool before;
    if constexpr (Equal)
      before = !less(pivot, here);
    else
      before = less(here, pivot);
    low += static_cast<difference>(before);
  }
  return static_cast<std::size_t>(low - first);
}

template <class It, class Less>
std::iter_value_t<It> median_of_three(It a, It b, It c, const Less& less) {
  if (less(*a, *b)) return less(*b, *c) ? *b : less(*a, *c) ? *c : *a;
  return less(*a, *c) ? *a : less(*b, *c) ? *c : *b;
}

/// Something like the median of a range of nine elements at least.
template <class It, class Less>
std::iter_value_t<It> choose_pivot(It first, std::size_t count, const Less& less) {
  std::iter_value_t<It> medians[3];
  const std::size_t stride = count / 9;
  for (std::size_t i = 0; i != 3; ++i) {
    const auto at = [&](std::size_t k) {
      return first + static_cast<std::iter_difference_t<It>>(k * stride + stride / 2);
    };
    medians[i] = median_of_three(at(i), at(3 + i), at(6 + i), less);
  }
  return median_of_three(medians, medians + 1, medians + 2, less);
}

/// Sorts a short piece in place, or one where the pivots were bad too often.
template <class It, class Less>
void quick_sort_piece(It first, std::size_t count, const Less& less, int bad_pivots_left) {
  while (count > inserted_max) {
    if (bad_pivots_left == 0) return heap_sort(first, count, less);
    const auto pivot = choose_pivot(first, count, less);
    std::size_t border = partition_piece<false>(first, 0, 0, count, pivot, less);
    if (border == 0) {  // the pivot is the least: what equals it is where it belongs
      border = partition_piece<true>(first, 0, 0, count, pivot, less);
    } else {
      if (border < count / 8 || border > count - count / 8) --bad_pivots_left;
      quick_sort_piece(first, border, less, bad_pivots_left);
    }
    first += static_cast<std::iter_difference_t<It>>(border);
    count -= border;
  }
  insertion_sort(first, first + static_cast<std::iter_difference_t<It>>(count), less);
}

template <bool Equal, class It, class Less>
class partition_job : public sub_job {
public:
  static constexpr bool awaits = false;
  using value = std::iter_value_t<It>;
  struct part {
    std::size_t origin;
    std::size_t border;  // from origin to here: what belongs before; from here on what does not
  };

  partition_job(parallel_job& whole, It first, const value& pivot, const Less& less) noexcept
      : sub_job(whole), whole_job_(whole), first_(first), pivot_(pivot), less_(less) {}

  [[gnu::noinline]] void run(part& p, std::size_t begin, std::size_t end) const {
    p.border = partition_piece<Equal>(first_, p.border, begin, end, pivot_, less_);
  }
  static std::size_t middle(const part&, std::size_t begin, std::size_t end) noexcept {
    return begin + (end - begin) / 2;
  }
  static part part_from(const part&, std::size_t middle) noexcept { return {middle, middle}; }
  /// Exchanges what does not belong before, at the end of the left part, and what does, at the
  /// beginning of the right one.
  task<> join(part& left, part& right) const {
    const std::size_t wrong_left = right.origin - left.border;
    const std::size_t wrong_right = right.border - right.origin;
    const std::size_t count = wrong_left < wrong_right ? wrong_left : wrong_right;
    swap_job swapping(whole_job_, first_, left.border, right.border - count);
    left.border += wrong_right;
    typename swap_job::part nothing;
    task<> swaps = work(swapping, nothing, 0, count, pace(0));
    co_await std::move(swaps);
  }

private:
  struct swap_job : sub_job {
    static constexpr bool awaits = false;
    struct part {};

    swap_job(parallel_job& whole, It start, std::size_t a, std::size_t b) noexcept
        : sub_job(whole), first(start), left(a), right(b) {}

    [[gnu::noinline]] void run(part&, std::size_t begin, std::size_t end) const {
      using difference = std::iter_difference_t<It>;
      const It a = first + static_cast<difference>(left);
      const It b = first + static_cast<difference>(right);
      std::swap_ranges(a + static_cast<difference>(begin), a + static_cast<difference>(end),
                       b + static_cast<difference>(begin));
    }
    static std::size_t middle(const part&, std::size_t begin, std::size_t end) noexcept {
      return begin + (end - begin) / 2;
    }
    static part part_from(const part&, std::size_t) noexcept { return {}; }
    static void join(part&, part&) noexcept {}

    It first;
    std::size_t left;
    std::size_t right;
  };

  parallel_job& whole_job_;
  const It first_;
  const value pivot_;
  const Less& less_;
};

template <bool Equal, class It, class Less>
task<std::size_t> partition_range(parallel_job& job, It first, std::size_t count,
                                  std::iter_value_t<It> pivot, const Less& less) {
  partition_job<Equal, It, Less> partitioning(job, first, pivot, less);
  typename partition_job<Equal, It, Less>::part all{0, 0};
  task<> working = work(partitioning, all, 0, count, pace(0));
  co_await std::move(working);
  co_return all.border;
}

template <class It, class Less>
task<> quick_sort(parallel_job& job, It first, std::size_t count, const Less& less,
                  int bad_pivots_left) {
  while (count > 2 * sorted_at_once && bad_pivots_left != 0) {
    if (job.halted()) {
      job.cut_off();
      co_return;
    }
    std::iter_value_t<It> pivot{};
    try {
      pivot = choose_pivot(first, count, less);
    } catch (...) {
      job.fail();
    }
    if (job.is_incomplete()) co_return;
    task<std::size_t> lower = partition_range<false>(job, first, count, pivot, less);
    std::size_t border = co_await std::move(lower);
    if (job.is_incomplete()) co_return;
    if (border == 0) {
      task<std::size_t> equal = partition_range<true>(job, first, count, pivot, less);
      border = co_await std::move(equal);
      if (job.is_incomplete()) co_return;
      first += static_cast<std::iter_difference_t<It>>(border);
      count -= border;
      continue;
    }
    if (border < count / 8 || border > count - count / 8) --bad_pivots_left;
    const It middle = first + static_cast<std::iter_difference_t<It>>(border);
    task<> left = quick_sort(job, first, border, less, bad_pivots_left);
    task<> right = quick_sort(job, middle, count - border, less, bad_pivots_left);
    auto both = when_all(std::move(left), std::move(right));
    co_await both;
    co_return;
  }
  if (count > 2 * sorted_at_once) {  // bad pivots: a way that is never slow
    task<> sorting = merge_sort_all(job, first, count, less);
    co_await std::move(sorting);
    co_return;
  }
  if (job.halted()) {
    job.cut_off();
    co_return;
  }
  pace p(0);
  p.start();
  try {
    quick_sort_piece(first, count, less, bad_pivots_left);
  } catch (...) {
    job.fail();
  }
  if (job.must_give_way(p, count)) {
    give_way others;
    co_await others;
  }
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The sort that is not stable: quicksort. Elements that are cheap to copy are partitioned without a
// branch to mispredict (two stores for each, wherever it belongs), which makes it two to three
// times as fast as std::sort for numbers; others from both ends, by as few swaps as can be. A long
// partition is divided like every job: two parts partition neighbouring pieces, and what lies
// between their borders is exchanged. Elements are swapped, never held elsewhere, so a stop or an
// exception leaves all of them.

#include "weft/runtime/task.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/merge_sort.hpp"
#include "weft/sched/detail/parallel_work.hpp"
#include "weft/sched/detail/short_sort.hpp"
#include "weft/sched/detail/sub_job.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// What is copied faster than a wrong guess of a branch is made up for.
template <class T>
inline constexpr bool is_cheap_to_copy = std::is_trivially_copyable_v<T> && sizeof(T) <= 32;

/// What is sorted in one go, in some 100 us.
template <class It>
inline constexpr std::size_t at_once = is_cheap_to_copy<std::iter_value_t<It>> ? 4096 : 1024;

/// Up to `lower` and from `upper` on there is something left to sort.
struct quick_sort_border {
  std::size_t lower;
  std::size_t upper;
};

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
It median_of_three(It a, It b, It c, const Less& less) {
  if (less(*a, *b)) return less(*b, *c) ? b : less(*a, *c) ? c : a;
  return less(*a, *c) ? a : less(*b, *c) ? c : b;
}

/// Where something like the median of a range of nine elements at least is.
template <class It, class Less>
It place_of_pivot(It first, std::size_t count, const Less& less) {
  const std::size_t stride = count / 9;
  const auto median = [&](std::size_t i) {
    const auto at = [&](std::size_t k) {
      return first + static_cast<std::iter_difference_t<It>>(k * stride + stride / 2);
    };
    return median_of_three(at(i), at(3 + i), at(6 + i), less);
  };
  return median_of_three(median(0), median(1), median(2), less);
}
template <class It, class Less>
std::iter_value_t<It> choose_pivot(It first, std::size_t count, const Less& less) {
  return *place_of_pivot(first, count, less);
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

/// Swaps two pieces, element by element.
template <class It>
struct swap_job : sub_job {
  static constexpr bool awaits = false;
  struct part {};

  swap_job(parallel_job& whole, It a, It b) noexcept : sub_job(whole), left(a), right(b) {}

  [[gnu::noinline]] void run(part&, std::size_t begin, std::size_t end) const {
    using difference = std::iter_difference_t<It>;
    std::swap_ranges(left + static_cast<difference>(begin), left + static_cast<difference>(end),
                     right + static_cast<difference>(begin));
  }
  static std::size_t middle(const part&, std::size_t begin, std::size_t end) noexcept {
    return begin + (end - begin) / 2;
  }
  static part part_from(const part&, std::size_t) noexcept { return {}; }
  static void join(part&, part&) noexcept {}

  It left;
  It right;
};

/// Divides a range: before the border is what belongs there.
template <class It>
class partition_job : public sub_job {
public:
  static constexpr bool awaits = false;
  /// From origin to low: what belongs before; from low to high: not looked at (`high` is kept by
  /// partitions that work from both ends); from there on what belongs behind.
  struct part {
    std::size_t origin;
    std::size_t low;
    std::size_t high;
    std::size_t cut = 0;  // where it is divided
  };

  partition_job(parallel_job& whole, It first) noexcept
      : sub_job(whole), first_(first), whole_(whole) {}

  static part part_from(const part& p, std::size_t) noexcept { return {p.cut, p.cut, p.high}; }
  static void divided(part& p) noexcept { p.high = p.cut; }
  /// Exchanges what belongs behind, at the end of the left part, and what belongs before, at the
  /// beginning of the right one.
  task<> join(part& left, part& right) const {
    const std::size_t wrong_left = right.origin - left.low;
    const std::size_t wrong_right = right.low - right.origin;
    const std::size_t count = wrong_left < wrong_right ? wrong_left : wrong_right;
    swap_job<It> swapping(whole_, at(left.low), at(right.low - count));
    left.low += wrong_right;
    typename swap_job<It>::part nothing;
    task<> swaps = work(swapping, nothing, 0, count, pace(0));
    co_await std::move(swaps);
  }

protected:
  It at(std::size_t i) const { return first_ + static_cast<std::iter_difference_t<It>>(i); }

  const It first_;

private:
  parallel_job& whole_;
};

/// From one end, without branches.
template <bool Equal, class It, class Less>
class one_way_partition : public partition_job<It> {
public:
  using part = typename partition_job<It>::part;
  using value = std::iter_value_t<It>;

  one_way_partition(parallel_job& whole, It first, const value& pivot, const Less& less) noexcept
      : partition_job<It>(whole, first), pivot_(pivot), less_(less) {}

  [[gnu::noinline]] void run(part& p, std::size_t begin, std::size_t end) const {
    p.low = partition_piece<Equal>(this->first_, p.low, begin, end, pivot_, less_);
  }
  static std::size_t middle(part& p, std::size_t begin, std::size_t end) noexcept {
    p.cut = begin + (end - begin) / 2;
    return p.cut;
  }

private:
  const value pivot_;
  const Less& less_;
};

/// From both ends, by as few swaps as can be. The pivot lies before the range.
template <class It, class Less>
class two_way_partition : public partition_job<It> {
public:
  using part = typename partition_job<It>::part;

  two_way_partition(parallel_job& whole, It first, It pivot, const Less& less) noexcept
      : partition_job<It>(whole, first), pivot_(pivot), less_(less) {}

  /// Looks at as many elements as there are between the two.
  [[gnu::noinline]] void run(part& p, std::size_t begin, std::size_t end) const {
    const auto& pivot = *pivot_;
    It low = this->at(p.low);
    It high = this->at(p.high);
    std::size_t left = end - begin;
    while (left != 0) {
      if (less_(*low, pivot)) {
        ++low;
        --left;
        continue;
      }
      for (; left > 1 && less_(pivot, *(high - 1)); --left) --high;
      --high;
      std::swap(*low, *high);
      if (left == 1) break;  // nobody has looked at what is at `low` now
      ++low;
      left -= 2;
    }
    p.low = static_cast<std::size_t>(low - this->first_);
    p.high = static_cast<std::size_t>(high - this->first_);
  }
  static std::size_t middle(part& p, std::size_t begin, std::size_t end) noexcept {
    p.cut = p.low + (end - begin) / 2;
    return begin + (end - begin) / 2;
  }

private:
  const It pivot_;
  const Less& less_;
};

/// Gives the border.
template <class Partition>
task<std::size_t> run_partition(Partition partitioning, std::size_t count) {
  typename Partition::part all{0, 0, count};
  task<> working = work(partitioning, all, 0, count, pace(0));
  co_await std::move(working);
  co_return all.low;
}

/// Where the elements that belong before something like their median end; those that equal the
/// least one of all when that was it, which are in order then.
template <class It, class Less>
task<quick_sort_border> divide_range(parallel_job& job, It first, std::size_t count,
                                     const Less& less) {
  if constexpr (is_cheap_to_copy<std::iter_value_t<It>>) {
    const std::iter_value_t<It> pivot = choose_pivot(first, count, less);
    task<std::size_t> lower =
        run_partition(one_way_partition<false, It, Less>(job, first, pivot, less), count);
    std::size_t border = co_await std::move(lower);
    if (border != 0 || job.is_incomplete()) co_return quick_sort_border{border, border};
    task<std::size_t> equal =
        run_partition(one_way_partition<true, It, Less>(job, first, pivot, less), count);
    border = co_await std::move(equal);
    co_return quick_sort_border{0, border};
  } else {
    std::swap(*first, *place_of_pivot(first, count, less));
    task<std::size_t> lower =
        run_partition(two_way_partition<It, Less>(job, first + 1, first, less), count - 1);
    const std::size_t border = co_await std::move(lower);
    if (!job.is_incomplete())
      std::swap(*first, *(first + static_cast<std::iter_difference_t<It>>(border)));
    co_return quick_sort_border{border, border + 1};
  }
}

template <class It, class Less>
task<> quick_sort(parallel_job& job, It first, std::size_t count, const Less& less,
                  int bad_pivots_left) {
  try {
    while (count > at_once<It> && bad_pivots_left != 0) {
      if (job.halted()) {
        job.cut_off();
        co_return;
      }
      task<quick_sort_border> dividing = divide_range(job, first, count, less);
      const quick_sort_border border = co_await std::move(dividing);
      if (job.is_incomplete()) co_return;
      const It middle = first + static_cast<std::iter_difference_t<It>>(border.upper);
      const std::size_t rest = count - border.upper;
      if (border.lower < count / 8 || rest < count / 8) --bad_pivots_left;
      if (border.lower != 0) {
        task<> left = quick_sort(job, first, border.lower, less, bad_pivots_left);
        task<> right = quick_sort(job, middle, rest, less, bad_pivots_left);
        auto both = when_all(std::move(left), std::move(right));
        co_await both;
        co_return;
      }
      first = middle;
      count = rest;
    }
    if (count > at_once<It>) {  // bad pivots: a way that is never slow
      task<> sorting = merge_sort_all(job, first, count, less, false);
      co_await std::move(sorting);
      co_return;
    }
    if (job.halted()) {
      job.cut_off();
      co_return;
    }
    pace p(0);
    p.start();
    if constexpr (is_cheap_to_copy<std::iter_value_t<It>>)
      quick_sort_piece(first, count, less, bad_pivots_left);
    else
      sort_in_place(first, first + static_cast<std::iter_difference_t<It>>(count), less);
    if (job.must_give_way(p, count)) {
      give_way others;
      co_await others;
    }
  } catch (...) {
    job.fail();
  }
}

}  // namespace weft::detail

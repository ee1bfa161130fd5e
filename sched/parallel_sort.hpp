// SPDX-License-Identifier: MIT
#pragma once
// parallel_sort, a quicksort in place, and parallel_stable_sort, a merge sort by way of a buffer.
// Both divide what they do wherever a worker is free, the long partitions and merges included. Not
// part of <weft/weft.hpp>, because it needs <algorithm>.

#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/detail/run_sort.hpp"

#include <iterator>
#include <utility>

namespace weft {

/// Sorts [first, last): `co_await parallel_sort(v.begin(), v.end())`.
///
/// Shape:    random access iterators to elements that move without throwing. less is a strict weak
///           order, called as a const object, by several threads at a time; a named lambda, or a
///           temporary one whose captures are trivially destructible (g++ 12 destroys other ones
///           twice).
/// Errors:   bad_alloc; the first exception of less (in time); `cancelled` when the scope is
///           stopped before it is done. All elements are in the range then, each of them once, in
///           some order.
/// Thread:   any worker; it runs on any worker of the same scheduler.
/// Lifetime: the elements outlive the co_await.
/// Cost:     O(n log n), O(n) when it is sorted; no memory but frames, and where pivots are bad
///           again and again a buffer for those elements. Without branches, and two to three times
///           as fast as std::sort, for trivially copyable elements of up to 32 bytes. Up to 4096
///           elements are sorted in one go.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          class Less = detail::ascending>
[[nodiscard]] auto parallel_sort(It first, End last, Less&& less = {}) {
  return detail::make_sort<false>(detail::make_iterator_source(first, last),
                                  std::forward<Less>(less));
}

/// The same for a range: a named one, or a view by value.
template <class Range, class Less = detail::ascending>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_sort(Range&& range, Less&& less = {}) {
  return weft::parallel_sort(std::begin(range), std::end(range), std::forward<Less>(less));
}

/// Sorts [first, last), and keeps the order of elements that are equal. Otherwise as parallel_sort.
///
/// Cost:     O(n log n), O(n) when it is sorted; a buffer for n elements.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          class Less = detail::ascending>
[[nodiscard]] auto parallel_stable_sort(It first, End last, Less&& less = {}) {
  return detail::make_sort<true>(detail::make_iterator_source(first, last),
                                 std::forward<Less>(less));
}

/// The same for a range: a named one, or a view by value.
template <class Range, class Less = detail::ascending>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_stable_sort(Range&& range, Less&& less = {}) {
  return weft::parallel_stable_sort(std::begin(range), std::end(range), std::forward<Less>(less));
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// parallel_inclusive_scan and parallel_exclusive_scan: running totals. On W workers the range is
// cut into W + 1 segments: while one worker writes the totals of the first, the others add up one
// each of those behind it; then all but the first are written, each from the sum of what is before
// it. So each worker goes over its share of 2 n / (W + 1) elements. On an event loop, and on a pool
// of one, it is one pass.

#include "weft/sched/detail/run_scan.hpp"
#include "weft/sched/parallel_options.hpp"

#include <iterator>
#include <utility>

namespace weft {

/// `out[i]` = op over init and in[0] ... in[i]; `out` may be `first`.
///
/// Shape:    random access iterators; otherwise the ranges do not overlap. op takes two T, the type
///           of init, and gives one; it is associative, and need not be commutative. It is called
///           as a const object, by several threads at a time. Temporary lambdas are as for
///           parallel_for. T can be copied.
/// Errors:   the first exception of op (in time); `cancelled` when the scope is stopped before all
///           is written. Each element of `out` is a total then, or what it was.
/// Thread:   any worker; the calls are made on any worker of the same scheduler.
/// Lifetime: the elements outlive the co_await.
/// Cost:     on more than one worker up to two calls of op for each element; two frames, and one
///           for each segment. How floating-point numbers are rounded depends on the workers.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          std::random_access_iterator Out, class T, class Op>
[[nodiscard]] auto parallel_inclusive_scan(It first, End last, Out out, T init, Op&& op,
                                           parallel_options options = {}) {
  return detail::make_scan<true>(detail::make_iterator_source(first, last), out, std::move(init),
                                 std::forward<Op>(op), options);
}

/// `out[i]` = op over init and in[0] ... in[i - 1]: the first one is init. Else the same.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          std::random_access_iterator Out, class T, class Op>
[[nodiscard]] auto parallel_exclusive_scan(It first, End last, Out out, T init, Op&& op,
                                           parallel_options options = {}) {
  return detail::make_scan<false>(detail::make_iterator_source(first, last), out, std::move(init),
                                  std::forward<Op>(op), options);
}

/// The same for a range: a named one, or a view by value.
template <class Range, std::random_access_iterator Out, class T, class Op>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_inclusive_scan(Range&& range, Out out, T init, Op&& op,
                                           parallel_options options = {}) {
  return weft::parallel_inclusive_scan(std::begin(range), std::end(range), out, std::move(init),
                                       std::forward<Op>(op), options);
}

/// The same for a range: a named one, or a view by value.
template <class Range, std::random_access_iterator Out, class T, class Op>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_exclusive_scan(Range&& range, Out out, T init, Op&& op,
                                           parallel_options options = {}) {
  return weft::parallel_exclusive_scan(std::begin(range), std::end(range), out, std::move(init),
                                       std::forward<Op>(op), options);
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// parallel_reduce: combines the elements of a range, or what a function makes of them, to one
// value. The way in which they are combined is fixed by their number and the grain, so a sum of
// floating-point numbers is the same, bit by bit, on an event loop and on any number of workers.

#include "weft/sched/detail/parallel_operation.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/detail/reduce_job.hpp"
#include "weft/sched/index_space.hpp"
#include "weft/sched/parallel_options.hpp"

#include <concepts>
#include <cstddef>
#include <iterator>
#include <utility>

namespace weft {

/// Combines `init`, `map(i)` for each i from `begin` to before `end` with `op`:
/// `co_await parallel_reduce(0, n, 0.0, [&](int i) { return a[i] * b[i]; }, std::plus())`
///
/// Shape:    op takes two T, the type of init, and gives one; it is associative, and need not be
///           commutative. map gives something that a T is made of, or a task<> of it, which is
///           awaited. Both are called as const objects, by several threads at a time; temporary
///           lambdas are as for parallel_for.
/// Returns:  op(init, all), where all is made of blocks of neighbours, combined as a balanced tree;
///           a block is as long as the grain (numbers: rounded up to 16), else 32 to 4096
///           iterations, by their number alone. Numbers within a block are combined four streams
///           at a time. Without any it is init.
/// Errors:   the first exception of map or op (in time); `cancelled` as for parallel_for.
/// Thread:   any worker; the calls are made on any worker of the same scheduler.
/// Lifetime: as parallel_for.
/// Cost:     as parallel_for. Only whole blocks are handed over: where a few calls of map take very
///           long, say `{.grain = 1}`. A part holds up to 25 values of T.
template <std::integral I, std::integral J, class T, class Map, class Op>
[[nodiscard]] auto parallel_reduce(I begin, J end, T init, Map&& map, Op&& op,
                                   parallel_options options = {}) {
  return detail::make_reduce(detail::make_index_source(begin, end), std::move(init),
                             std::forward<Map>(map), std::forward<Op>(op), options);
}

/// The same for the points of a grid: map gets one index for each dimension.
template <std::size_t N, class T, class Map, detail::combines_values Op>
[[nodiscard]] auto parallel_reduce(const index_space<N>& space, T init, Map&& map, Op&& op,
                                   parallel_options options = {}) {
  return detail::make_reduce(detail::space_source<N>{space}, std::move(init),
                             std::forward<Map>(map), std::forward<Op>(op), options);
}

/// The same for elements: map gets a reference to each.
template <std::input_or_output_iterator It, std::sentinel_for<It> End, class T, class Map,
          detail::combines_values Op>
[[nodiscard]] auto parallel_reduce(It first, End last, T init, Map&& map, Op&& op,
                                   parallel_options options = {}) {
  return detail::make_reduce(detail::make_iterator_source(first, last), std::move(init),
                             std::forward<Map>(map), std::forward<Op>(op), options);
}

/// The same for the elements of a range: a named one, or a view by value.
template <class Range, class T, class Map, detail::combines_values Op>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_reduce(Range&& range, T init, Map&& map, Op&& op,
                                   parallel_options options = {}) {
  return weft::parallel_reduce(std::begin(range), std::end(range), std::move(init),
                               std::forward<Map>(map), std::forward<Op>(op), options);
}

/// Without map: the elements themselves.
template <std::input_or_output_iterator It, std::sentinel_for<It> End, class T,
          detail::combines_values Op>
[[nodiscard]] auto parallel_reduce(It first, End last, T init, Op&& op,
                                   parallel_options options = {}) {
  return weft::parallel_reduce(first, last, std::move(init), detail::as_it_is(),
                               std::forward<Op>(op), options);
}

/// The same for a range.
template <class Range, class T, detail::combines_values Op>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_reduce(Range&& range, T init, Op&& op, parallel_options options = {}) {
  return weft::parallel_reduce(std::begin(range), std::end(range), std::move(init),
                               std::forward<Op>(op), options);
}

}  // namespace weft

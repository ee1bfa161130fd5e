// SPDX-License-Identifier: MIT
#pragma once
// parallel_for_each: calls a function for every element of a range, several at the same time.

#include "weft/sched/detail/parallel_for_job.hpp"
#include "weft/sched/parallel_options.hpp"

#include <iterator>
#include <type_traits>
#include <utility>

namespace weft {

/// Calls `body(element)` for each element of [first, last).
///
/// Shape:    random access iterators; body as for parallel_for.
/// Errors:   as parallel_for.
/// Thread:   any worker; the calls run on any worker of the same scheduler.
/// Lifetime: the elements outlive the co_await, as does what the body refers to.
/// Cost:     as parallel_for.
template <std::input_or_output_iterator It, std::sentinel_for<It> End, class Body>
[[nodiscard]] auto parallel_for_each(It first, End last, Body&& body,
                                     parallel_options options = {}) {
  return detail::make_parallel_for(detail::make_iterator_source(first, last),
                                   std::forward<Body>(body), options);
}

/// The same for a range: a named one, or a view by value.
template <class Range, class Body>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_for_each(Range&& range, Body&& body, parallel_options options = {}) {
  return weft::parallel_for_each(std::begin(range), std::end(range), std::forward<Body>(body),
                                 options);
}

}  // namespace weft

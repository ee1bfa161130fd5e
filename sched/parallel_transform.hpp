// SPDX-License-Identifier: MIT
#pragma once
// parallel_transform: writes what a function makes of each element to another range, or to the
// same.

#include "weft/sched/detail/transform_body.hpp"
#include "weft/sched/parallel_options.hpp"

#include <iterator>
#include <utility>

namespace weft {

/// `out[i] = f(in[i])` for each element of [first, last); `out` may be `first`.
///
/// Shape:    random access iterators; otherwise the ranges do not overlap. f is called as a const
///           object, by several threads at a time, and gives a value, or a task<> of one, which is
///           awaited. Temporary lambdas are as for parallel_for.
/// Errors:   as parallel_for; each element of `out` was written or is what it was.
/// Thread:   any worker; the calls are made on any worker of the same scheduler.
/// Lifetime: the elements outlive the co_await, as does what f refers to.
/// Cost:     as parallel_for.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          std::random_access_iterator Out, class F>
[[nodiscard]] auto parallel_transform(It first, End last, Out out, F&& f,
                                      parallel_options options = {}) {
  return detail::make_transform(detail::make_iterator_source(first, last), out, std::forward<F>(f),
                                options);
}

/// The same for a range: a named one, or a view by value.
template <class Range, std::random_access_iterator Out, class F>
  requires detail::has_begin_end<Range>
[[nodiscard]] auto parallel_transform(Range&& range, Out out, F&& f,
                                      parallel_options options = {}) {
  return weft::parallel_transform(std::begin(range), std::end(range), out, std::forward<F>(f),
                                  options);
}

/// `out[i] = f(a[i], b[i])`: the second range is as long as the first, at least.
template <std::input_or_output_iterator It, std::sentinel_for<It> End,
          std::random_access_iterator Second, std::random_access_iterator Out, class F>
[[nodiscard]] auto parallel_transform(It first, End last, Second second, Out out, F&& f,
                                      parallel_options options = {}) {
  return detail::make_transform(detail::make_iterator_source(first, last), second, out,
                                std::forward<F>(f), options);
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// parallel_for: a loop whose iterations may run at the same time. On a pool every worker that has
// nothing better to do takes a share; on an event loop the iterations run in order, and give way to
// the other tasks. Its await is one like any other: it can be cancelled, may have a time limit, and
// stands in a handler that serves a connection while others are served.

#include "weft/sched/detail/parallel_for_job.hpp"
#include "weft/sched/detail/parallel_operation.hpp"
#include "weft/sched/index_space.hpp"
#include "weft/sched/parallel_options.hpp"

#include <concepts>
#include <cstddef>
#include <utility>

namespace weft {

/// Calls `body(i)` for each i from `begin` to before `end`:
/// `co_await parallel_for(0, height, [&](int y) { draw(y); });`
///
/// Shape:    body is called as a const object, by several threads at a time, with the common type
///           of `begin` and `end`; it is a plain function, or returns a task<> that is awaited. No
///           iteration waits for another one. A named lambda, or a temporary one whose captures are
///           trivially destructible (g++ 12 destroys other ones twice).
/// Errors:   rethrows the first exception of a body (in time), after the parts that run have ended:
///           they do not begin a further chunk, and tasks of the body are cancelled. `cancelled`
///           when the scope is stopped before all have run. Which iterations have run is unknown
///           then; each was run to its end, or not at all, but for those that failed.
/// Thread:   any worker; the iterations run on any worker of the same scheduler.
/// Lifetime: the body is copied (moved, when it is a temporary); what it refers to outlives the
///           co_await.
/// Cost:     up to some thousand cheap iterations run in place: one to four looks at a counter. A
///           range that takes longer makes one frame, reads the clock every 20 us, and makes two
///           frames each time that a worker has taken a part. The first iterations run before
///           anything is handed over, to see what they cost: where a few take very long, say
///           `{.grain = 1}`.
template <std::integral I, std::integral J, class Body>
[[nodiscard]] auto parallel_for(I begin, J end, Body&& body, parallel_options options = {}) {
  return detail::make_parallel_for(detail::make_index_source(begin, end), std::forward<Body>(body),
                                   options);
}

/// The same for the points of a grid: `parallel_for(index_space(height, width), [&](std::ptrdiff_t
/// y, std::ptrdiff_t x) { ... })`; x runs fastest, in an inner loop of its own.
template <std::size_t N, class Body>
[[nodiscard]] auto parallel_for(const index_space<N>& space, Body&& body,
                                parallel_options options = {}) {
  return detail::make_parallel_for(detail::space_source<N>{space}, std::forward<Body>(body),
                                   options);
}

}  // namespace weft

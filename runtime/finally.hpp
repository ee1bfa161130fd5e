// SPDX-License-Identifier: MIT
#pragma once
// finally: clean-up that awaits. A co_await can stand neither in a destructor nor in a catch block,
// so what has to be awaited at the end of something is a task of its own, run behind a shield.

#include "weft/runtime/with_timeout.hpp"

#include <concepts>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class T, class Cleanup>
task<T> run_finally(task<T> body, Cleanup cleanup, time_limit limit) {
  ended_task run(task_access::promise(body));
  co_await run;
  task<> last = run_limited<void>(limit, cleanup());
  ended_task run_last(task_access::promise(last));
  co_await run_last;
  task_promise<T>& ended = task_access::finished(body);
  if (!ended.failed()) task_access::finished(last).take();
  co_return ended.take();
}

}  // namespace detail

/// Awaits `body`, then `cleanup()`, whatever became of the body: a value, an exception, a cancel.
///
/// Shape:    body is a task or an operation; cleanup is a callable `task<>()`, a named lambda, or a
///           temporary one whose captures are trivially destructible (g++ 12 destroys other ones
///           twice). `limit` is how long the clean-up may take: a duration or a time point.
/// Returns:  body's value.
/// Errors:   rethrows what escaped the body; only if nothing did, what escaped the clean-up:
///           timeout_error when its time was up. A stop from outside does not reach the clean-up.
/// Thread:   any worker.
/// Lifetime: cleanup is copied (moved, when it is a temporary) into the frame; what it captures by
///           reference outlives the co_await.
/// Cost:     three frames beside the body's, a timer and a clock read.
template <detail::limitable A, class Cleanup, class Limit>
  requires std::same_as<std::invoke_result_t<std::decay_t<Cleanup>&>, task<>>
[[nodiscard]] auto finally(A&& body, Cleanup&& cleanup, Limit limit) {
  static_assert(detail::safe_as_temporary<Cleanup>,
                "weft: name the lambda first (auto cleanup = [...]; co_await finally(body, "
                "cleanup, 1s)): g++ 12 destroys the captures of a temporary lambda twice in a "
                "co_await");
  detail::time_limit l = detail::limit_of(limit);
  l.shield = true;
  return detail::run_finally<detail::value_of<A>, std::decay_t<Cleanup>>(
      detail::to_task(std::forward<A>(body)), std::forward<Cleanup>(cleanup), l);
}

}  // namespace weft

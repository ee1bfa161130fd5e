// SPDX-License-Identifier: MIT
#pragma once
// parallel_invoke: calls a few functions, each of which may run at the same time as the others. It
// is when_all for functions, and the first failure stops the rest.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/to_task.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/parallel_job.hpp"

#include <tuple>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// What a function gives, or the task that it gives.
template <class R>
struct invoked {
  using type = std::decay_t<R>;
};
template <>
struct invoked<void> {
  using type = void;
};
template <class T>
struct invoked<task<T>> {
  using type = T;
};
template <class F>
using invoked_t = typename invoked<std::invoke_result_t<F&>>::type;

/// Calls one of the functions, unless another one has failed or the scope is stopped.
template <class F>
task<invoked_t<F>> invoke_one(parallel_job& job, F& function) {
  if (job.halted()) {
    job.cut_off();
    throw cancelled();
  }
  try {
    if constexpr (!is_task<std::invoke_result_t<F&>>) {
      co_return function();
    } else if constexpr (std::is_void_v<invoked_t<F>>) {
      task<> running = function();
      co_await std::move(running);
    } else {
      task<invoked_t<F>> running = function();
      invoked_t<F> value = co_await std::move(running);
      co_return static_cast<invoked_t<F>&&>(value);
    }
  } catch (...) {
    job.fail();
    throw;
  }
}

template <class... F>
task<std::tuple<value_or_monostate<invoked_t<F>>...>> run_invoke(F... functions) {
  using values = std::tuple<value_or_monostate<invoked_t<F>>...>;
  own_promise own;
  promise_base& self = co_await own;
  parallel_job job(1);
  job.begin(self);
  try {
    if constexpr ((is_task<std::invoke_result_t<F&>> || ...)) {
      // A scope of their own, so that the first failure stops the others where they wait.
      auto body = [&](task_group& group) -> task<values> {
        job.stop_on_failure(group);
        auto all = when_all(invoke_one(job, functions)...);
        values given = co_await std::move(all);
        co_return given;
      };
      auto group = with_task_group(body);
      values given = co_await std::move(group);
      co_return given;
    } else {
      auto all = when_all(invoke_one(job, functions)...);
      values given = co_await std::move(all);
      co_return given;
    }
  } catch (...) {
    if (job.failure() != nullptr) std::rethrow_exception(job.failure());
    throw;
  }
}

}  // namespace detail

/// Calls all functions and waits for all of them: `co_await parallel_invoke(left, right)`.
///
/// Shape:    functions without parameters, plain ones or such that return a task, which is awaited.
///           Named lambdas, or temporary ones whose captures are trivially destructible (g++ 12
///           destroys other ones twice).
/// Returns:  a tuple of their values, std::monostate for void.
/// Errors:   rethrows the first exception (in time), after the others have ended: those that have
///           not begun are not called, and tasks are cancelled. `cancelled` when the scope is
///           stopped before all were called.
/// Thread:   any worker; on a pool the functions may run on any worker, at the same time; on an
///           event loop they are called in order.
/// Lifetime: the functions are copied (moved, when they are temporary); what they refer to outlives
///           the co_await.
/// Cost:     a frame, and one for each function; two more where one of them returns a task.
template <class... F>
[[nodiscard]] auto parallel_invoke(F&&... functions) {
  static_assert((detail::safe_as_temporary<F> && ...),
                "weft: name the lambda first (auto f = [...]; co_await parallel_invoke(f, g)): g++ "
                "12 destroys the captures of a temporary lambda twice in a co_await");
  return detail::run_invoke<std::decay_t<F>...>(std::forward<F>(functions)...);
}

}  // namespace weft

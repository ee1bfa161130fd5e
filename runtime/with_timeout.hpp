// SPDX-License-Identifier: MIT
#pragma once
// with_timeout, with_deadline, shield: an await in a scope with a time limit. They are coroutines
// that open the scope, await, and close it when everything inside has ended. An operation that is
// ready at once opens no scope.

#include "weft/runtime/deadline_scope.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/to_task.hpp"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class Rep, class Period>
time_limit limit_of(std::chrono::duration<Rep, Period> d) noexcept {
  return {.ns = to_ns(d), .relative = true};
}
template <class Clock, class Duration>
time_limit limit_of(std::chrono::time_point<Clock, Duration> t) noexcept {
  if constexpr (std::same_as<Clock, std::chrono::steady_clock>)
    return {.ns = to_ns(t.time_since_epoch()), .relative = false};
  else
    return limit_of(t - Clock::now());
}

/// Turns a `cancelled` that the deadline has caused into a timeout_error; rethrows everything else.
[[noreturn, gnu::cold]] void throw_timed_out(const std::exception_ptr& e, const time_limit& limit);

template <class T>
task<T> run_limited(time_limit limit, task<T> body) {
  own_promise own;
  promise_base& self = co_await own;
  deadline_scope scope(strand_of(self), limit);
  ended_task run(task_access::promise(body));
  co_await run;
  scope.disarm();
  scope_join join(scope);
  co_await join;
  strand_of(self).close(scope);
  task_promise<T>& ended = task_access::finished(body);
  if (ended.failed() && scope.timed_out()) throw_timed_out(ended.exception(), limit);
  co_return ended.take();
}

/// An operation that never throws by itself: its outcome is a result.
template <class A>
concept quiet_operation = std::derived_from<A, operation_tag> && requires(A& a) {
  { a.outcome() } noexcept;
  { A::name } -> std::convertible_to<const char*>;
};

/// The rest of an operation that was not ready.
template <class Operation>
struct unready {
  Operation* operation;

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> h) noexcept {
    return operation->await_suspend(h);
  }
  result<typename Operation::value_type> await_resume() noexcept { return operation->outcome(); }
};

template <class Operation>
task<result<typename Operation::value_type>> run_limited_operation(time_limit limit,
                                                                   Operation operation) {
  own_promise own;
  promise_base& self = co_await own;
  operation.promise = &self;
  if (operation.await_ready()) co_return operation.outcome();
  deadline_scope scope(strand_of(self), limit);
  unready<Operation> rest{&operation};
  result<typename Operation::value_type> r = co_await rest;
  scope.disarm();
  scope_join join(scope);
  co_await join;
  strand_of(self).close(scope);
  if (!r && r.error() == cancelled_code() && scope.timed_out()) co_return failure{timed_out_code()};
  co_return r;
}

/// An operation within its time limit; an operation itself, as_result() of it throws nowhere.
template <class Operation>
class [[nodiscard]] limited_operation : public operation_tag {
public:
  using value_type = typename Operation::value_type;
  static constexpr const char* name = Operation::name;

  limited_operation(time_limit limit, Operation&& o)
      : run_(run_limited_operation<Operation>(limit, std::move(o))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise>) noexcept {
    static_assert(awaits_operations<Promise>);
    return promise->call(task_access::promise(run_));
  }
  value_type await_resume() {
    result<value_type> r = outcome();
    if (!r) throw_error(r.error(), name);
    if constexpr (!std::is_void_v<value_type>) return *std::move(r);
  }
  result<value_type> outcome() noexcept { return task_access::finished(run_).take(); }

  promise_base* promise = nullptr;

private:
  task<result<value_type>> run_;
};

template <class A>
auto limited(time_limit limit, A&& awaitable) {
  if constexpr (quiet_operation<A>)
    return limited_operation<A>(limit, std::forward<A>(awaitable));
  else
    return run_limited<value_of<A>>(limit, to_task(std::forward<A>(awaitable)));
}

/// What can be awaited within a time limit: a temporary task or operation, a join_handle.
template <class A>
concept limitable = requires(A&& a) { to_task(std::forward<A>(a)); };

}  // namespace detail

/// Awaits within a time limit: `co_await with_timeout(5s, stream.read(buffer))`.
///
/// Shape:    a task or an operation.
/// Returns:  its value. What is ready at once is given even when the time is up; so is the value of
///           what ended before the deadline could take effect.
/// Errors:   timeout_error when the time was up first: what was awaited has been cancelled, and has
///           ended. `cancelled` when a stop from outside came first, or an earlier deadline around
///           this one, whose scope then throws timeout_error. Everything else passes.
/// Thread:   any worker.
/// Lifetime: as for awaiting it without a limit.
/// Cost:     one frame; when it has to wait a timer and a clock read.
template <class Rep, class Period, detail::limitable A>
[[nodiscard]] auto with_timeout(std::chrono::duration<Rep, Period> limit, A&& awaitable) {
  return detail::limited(detail::limit_of(limit), std::forward<A>(awaitable));
}

/// The same with a point in time.
template <class Clock, class Duration, detail::limitable A>
[[nodiscard]] auto with_deadline(std::chrono::time_point<Clock, Duration> deadline, A&& awaitable) {
  return detail::limited(detail::limit_of(deadline), std::forward<A>(awaitable));
}

/// Awaits what no stop from outside reaches: `co_await shield(say_goodbye(stream), 1s)`.
///
/// Shape:    a task or an operation, and how long it may take at most: a duration or a time point.
/// Returns:  its value, also under a stopped scope.
/// Errors:   timeout_error when the time is up; everything else passes. The next await after it
///           reports the stop.
/// Thread:   any worker.
/// Lifetime: as for awaiting it without a shield.
/// Cost:     two frames, a timer and a clock read.
template <class Limit, detail::limitable A>
[[nodiscard]] auto shield(A&& awaitable, Limit limit) {
  detail::time_limit l = detail::limit_of(limit);
  l.shield = true;
  return detail::run_limited<detail::value_of<A>>(l, detail::to_task(std::forward<A>(awaitable)));
}

namespace detail {

struct deadline_query : operation_tag {
  promise_base* promise = nullptr;

  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::optional<std::chrono::steady_clock::time_point> await_resume() const noexcept {
    const std::int64_t ns = strand_of(*promise).scope().deadline();
    if (ns == no_deadline) return std::nullopt;
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(ns));
  }
};

}  // namespace detail

namespace this_task {

/// How long the task has: `co_await this_task::deadline()` gives the earliest deadline around it.
///
/// Returns: nullopt when there is none.
/// Cost:    a few instructions; it never suspends.
[[nodiscard]] inline detail::deadline_query deadline() noexcept { return {}; }

}  // namespace this_task

}  // namespace weft

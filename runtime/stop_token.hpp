// SPDX-License-Identifier: MIT
#pragma once
// this_task::stop_token: cancellation for code that knows the standard library's tokens and none of
// weft's awaits, such as a long computation in a blocking() call. The record behind a token is made
// on first use and belongs to the strand, until the scope that it was asked for in closes; a visit
// of the strand that finds that scope stopped sends the record to a worker, which requests the stop
// between two tasks: callbacks run there, under no lock, never in whoever cancels. Then only what
// the strand waits for is cancelled: a task that has seen the stop finds its token stopped.

#include "weft/runtime/promise.hpp"
#include "weft/runtime/scope.hpp"

#include <stop_token>

namespace weft {

namespace detail {

struct stop_record : message {
  std::stop_source source;
  plain<stop_record*> next = nullptr;
  cancel_scope* scope = nullptr;
  cancel_scope* held = nullptr;  // does not end while the record is on its way
  strand* waits = nullptr;       // is suspended meanwhile, to be cancelled next
};

struct stop_token_query : operation_tag {
  promise_base* promise = nullptr;

  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::stop_token await_resume() const { return token_of(strand_of(*promise)); }

  /// An await of the strand was refused: its tokens hear of the stop, if nobody tells them now.
  static void tell(strand& line) noexcept;

private:
  friend strand;

  static std::stop_token token_of(strand& line);
  /// Off the strand's list, under its lock: those whose scope is stopped.
  static stop_record* take_stopped(strand& line) noexcept;
  static void stop_all(stop_record* next) noexcept;
  static void deliver(message& m, worker& w) noexcept;
};

}  // namespace detail

namespace this_task {

/// `std::stop_token stop = co_await this_task::stop_token();` is told when the task's scope is
/// stopped, by a cancel, a deadline or a failed sibling.
///
/// Returns:  the token of the innermost scope; once that has closed no stop comes any more.
/// Errors:   bad_alloc on first use in a scope. A stopped scope gives a token that is stopped.
/// Thread:   the token is used on any; a std::stop_callback runs on a worker, between two tasks or
///           in a refused await of the task, or in its own constructor: it returns soon and throws
///           nothing. On a pool that await may be refused a moment before. A deadline is noticed by
///           the scope's own worker, between two tasks: give long computations to blocking().
/// Lifetime: the token may outlive the task.
/// Cost:     two allocations on first use in a scope; it never suspends. Requesting allocates
///           nothing.
[[nodiscard]] inline detail::stop_token_query stop_token() noexcept { return {}; }

}  // namespace this_task

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// The loop of a server: accepts for ever, and gives each connection a task of its own in a group.
// What goes wrong with one connection stays with it; what goes wrong with accepting is waited out
// when waiting helps.

#include "weft/io/function_ref.hpp"
#include "weft/io/tcp_listener.hpp"
#include "weft/runtime/task_group.hpp"

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

/// Who hears of what goes wrong in serve().
struct serve_options {
  /// Told what escaped a handler or made accepting pause; on a pool by several threads at once.
  /// Must not throw.
  function_ref<void(const std::exception&)> on_error{};
};

namespace detail {

/// The next connection. Goes on after errors that concern one connection only; pauses, longer each
/// time in a row, when descriptors or memory have run out, or when too many fail in a row.
task<tcp_stream> next_connection(tcp_listener& listener, serve_options options);

void report(const serve_options& options, const std::exception& e) noexcept;

template <class Handler>
task<> serve_connection(Handler* handler, tcp_stream stream, serve_options options) {
  try {
    task<> running = (*handler)(std::move(stream));
    co_await std::move(running);
  } catch (const std::exception& e) {
    report(options, e);
  }
}

template <class Handler>
task<> serve_on(tcp_listener& listener, Handler handler, serve_options options) {
  auto body = [&](task_group& group) -> task<> {
    for (;;) {
      task<tcp_stream> next = next_connection(listener, options);
      tcp_stream stream = co_await std::move(next);
      try {
        group.spawn(serve_connection<Handler>, &handler, std::move(stream), options);
      } catch (const std::bad_alloc& e) {
        report(options, e);  // this connection is closed, the others go on
      }
    }
  };
  task<> running = with_task_group(body);
  co_await std::move(running);
}

template <class Handler>
task<> serve_owned(tcp_listener listener, Handler handler, serve_options options) {
  task<> running = serve_on(listener, std::move(handler), options);
  co_await std::move(running);
}

template <class Handler>
constexpr void check_handler() noexcept {
  static_assert(
      safe_as_temporary<Handler>,
      "weft: name the lambda first (auto handler = [...]; co_await serve(listener, "
      "handler)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
}

}  // namespace detail

/// Serves connections until it is cancelled.
///
/// Shape:    handler is a callable `task<>(tcp_stream)`; copied once and called for each
///           connection, on a pool from several threads at once; a named lambda, or a temporary one
///           whose captures are trivially destructible (g++ 12 destroys other ones twice).
/// Returns:  never normally.
/// Errors:   bad_file_descriptor when the listener is closed; other errors of accept() that no
///           waiting mends; what a handler throws beside std::exception. std::exceptions of a
///           handler end its connection and go to `options.on_error`. All connections are cancelled
///           and joined first.
/// Thread:   connections run on every worker of the scheduler.
/// Lifetime: listener outlives the co_await, and so does what on_error refers to.
/// Cost:     a record and two frames for each connection.
template <class Handler>
task<> serve(tcp_listener& listener, Handler&& handler, serve_options options = {}) {
  detail::check_handler<Handler>();
  return detail::serve_on<std::decay_t<Handler>>(listener, std::forward<Handler>(handler), options);
}

/// The same with a listener of its own, which is closed at the end.
template <class Handler>
task<> serve(tcp_listener&& listener, Handler&& handler, serve_options options = {}) {
  detail::check_handler<Handler>();
  return detail::serve_owned<std::decay_t<Handler>>(std::move(listener),
                                                    std::forward<Handler>(handler), options);
}

}  // namespace weft

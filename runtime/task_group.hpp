// SPDX-License-Identifier: MIT
#pragma once
// Structure: a task group owns the tasks that are spawned in it and does not end before them. When
// one fails the others are cancelled and joined, and the failure is rethrown. There is no way to
// spawn a task that nobody owns.

#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"
#include "weft/runtime/join_handle.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_status.hpp"
#include "weft/runtime/yield.hpp"

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weft {

class task_group;

namespace detail {

template <class R, class Body>
task<R> run_group(task_group_options options, Body body);

template <class T, class Call>
task<T> start_child(task_group& group, Call call);

template <class Body>
using group_value_t = typename std::invoke_result_t<Body&, task_group&>::value_type;

// g++ 12 destroys the captures of a temporary closure twice when it stands in a co_await
// expression.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
template <class F>
inline constexpr bool safe_as_temporary =
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>;
#else
template <class F>
inline constexpr bool safe_as_temporary = true;
#endif

template <class F, class T>
using handle_for = std::conditional_t<safe_as_temporary<F>, join_handle<T>, named_join_handle<T>>;

}  // namespace detail

/// Opens a group, runs `body(group)` in it, and ends when the body and every spawned task have
/// ended.
///
/// Shape:    body is a callable `task<R>(task_group&)`; a named lambda, or a temporary one whose
///           captures are trivially destructible (g++ 12 destroys other ones twice).
/// Returns:  what the body returns.
/// Errors:   rethrows the first exception of the body or a child, after the others have been
///           cancelled and joined; further ones go to `options.failures`. Returns normally after
///           group.cancel() (throws system_error(operation_canceled) when the body then has no R to
///           return); a cancel from outside goes on as `cancelled`.
/// Thread:   any worker.
/// Lifetime: the body is copied (moved, when it is a temporary) into the group's frame and lives as
///           long as the group; std::ref(body) refers to it instead.
/// Cost:     one frame beside the body's own.
template <class Body>
[[nodiscard]] auto with_task_group(task_group_options options, Body&& body) {
  static_assert(detail::safe_as_temporary<Body>,
                "weft: name the lambda first (auto body = [...]; co_await with_task_group(body); "
                "with std::ref(body) if it can't be copied): g++ 12 destroys the captures of a "
                "temporary lambda twice in a co_await");
  using body_type = std::decay_t<Body>;
  using value = detail::group_value_t<body_type>;
  return detail::run_group<value, body_type>(options, std::forward<Body>(body));
}

/// The same without options.
template <class Body>
[[nodiscard]] auto with_task_group(Body&& body) {
  return with_task_group(task_group_options{}, std::forward<Body>(body));
}

/// Cancels a task group from wherever it is; copies are handles of the same group.
///
/// Thread:   any, not from a signal handler.
/// Lifetime: may outlive the group: it does nothing then.
class stop_handle {
public:
  /// As task_group::cancel().
  void cancel() const noexcept { link_->request_stop(); }

private:
  friend task_group;

  explicit stop_handle(std::shared_ptr<detail::group_link> link) noexcept
      : link_(std::move(link)) {}

  std::shared_ptr<detail::group_link> link_;
};

/// The tasks that live and end together; made by with_task_group.
class task_group {
public:
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;

  /// Starts `fn(args...)`, which returns a task, as a child of this group.
  ///
  /// Shape:    the function and its arguments are moved (or copied) into the child's record and
  ///           passed to fn as rvalues; std::ref passes a reference.
  /// Returns:  a handle to await the value with; it may be dropped, the child stays in the group.
  /// Errors:   bad_alloc, and nothing was started; aborts when the group has ended. fn is called
  ///           when the child begins: what that throws is the child's failure.
  /// Thread:   any worker that runs the body, a child, or what one of them awaits by on().
  /// Lifetime: what fn takes by reference outlives the group.
  /// Cost:     a record, and a frame when the child begins; it is queued behind the ready tasks.
  template <class F, class... Args>
  auto spawn(F&& fn, Args&&... args) -> detail::handle_for<
      F, detail::task_value_t<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>> {
    using value = detail::task_value_t<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
    detail::child<value>& c = detail::make_child(std::forward<F>(fn), std::forward<Args>(args)...);
    join_handle<value> handle(c);
    c.start(state_);
    return detail::handle_for<F, value>(std::move(handle));
  }

  /// Starts a task that was made already.
  template <class T>
  join_handle<T> spawn(task<T>&& t) {
    return spawn([](task<T> moved) { return moved; }, std::move(t));
  }

  /// Starts `count` children that run copies of `fn`.
  template <std::copy_constructible F>
  void spawn_n(std::size_t count, const F& fn) {
    for (std::size_t i = 0; i < count; ++i) (void)spawn(fn);
  }

  /// Starts `fn(status, args...)` as a child of this group and waits until it says that it is
  /// ready, by `status.started(value)`: `const auto port = co_await group.start(serve, address);`
  ///
  /// Shape:    fn takes a task_status<T>& first (spelled out, not auto) and returns a task<>;
  ///           otherwise as spawn. On g++ 12 a temporary lambda's captures are trivially
  ///           destructible.
  /// Returns:  the value that the child gave. From then on it is a child like any other.
  /// Errors:   what escapes the child before: it is the caller's failure then, not the group's.
  ///           broken_pipe when the child ends without a word, operation_canceled when it alone
  ///           was cancelled. `cancelled`: the child is cancelled too, and the group joins it;
  ///           under a stopped scope nothing is started.
  /// Thread:   any worker that runs the body or a child.
  /// Lifetime: what fn takes by reference outlives the group. With max_concurrency the child waits
  ///           for its turn, and a child that starts others has to leave them one.
  /// Cost:     a record, three frames and one allocation.
  template <class F, class... Args>
  auto start(F&& fn, Args&&... args) -> task<detail::status_value_t<std::decay_t<F>>> {
    static_assert(detail::safe_as_temporary<F>,
                  "weft: name the lambda first (auto serve = [...]; co_await group.start(serve)): "
                  "g++ 12 destroys the captures of a temporary lambda twice in a co_await");
    using call = detail::bound_call<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
    return detail::start_child<detail::status_value_t<std::decay_t<F>>, call>(
        *this, call(std::forward<F>(fn), std::forward<Args>(args)...));
  }

  /// Cancels the body and every child; with_task_group returns normally when they have ended.
  ///
  /// Thread:   any, any number of times. Outside the body and its children the caller makes sure
  ///           that the group has not ended before the call.
  /// Cost:     one message to the scheduler; allocates nothing, runs no task.
  void cancel() noexcept;

  /// A handle to cancel the group with: for other threads, and for whoever may come too late.
  ///
  /// Errors:   bad_alloc.
  /// Thread:   any worker that runs the body or a child.
  /// Cost:     one allocation for the first handle of a group.
  weft::stop_handle stop_handle() { return weft::stop_handle(state_.link()); }

  /// Whether the group was cancelled, by cancel(), a failure, or from outside. Thread: as cancel().
  bool stop_requested() const noexcept { return state_.stop_requested(); }

private:
  template <class R, class Body>
  friend task<R> detail::run_group(task_group_options, Body);

  task_group(scheduler& home, detail::promise_base& opener,
             const task_group_options& options) noexcept
      : state_(home, &opener, options) {}

  detail::group_state state_;
};

inline void task_group::cancel() noexcept {
  const scheduler::outside_call call(state_.home());
  // Held first: the body may see the flag and end the group before its request is posted.
  if (!state_.try_hold()) return;
  state_.request_stop();
  state_.release();
}

namespace detail {

template <class R, class Body>
task<R> run_group(task_group_options options, Body body) {
  own_promise own;
  promise_base& self = co_await own;
  strand& line = strand_of(self);
  task_group group(line.home(), self, options);
  group_state& state = group.state_;
  line.open(state);
  outcome<R> returned;
  [[maybe_unused]] bool has_value = false;
  std::exception_ptr stopped;
  try {
    task<R> running = body(group);
    if constexpr (std::is_void_v<R>) {
      co_await std::move(running);
    } else {
      R value = co_await std::move(running);
      returned.return_value(static_cast<R&&>(value));
    }
    has_value = true;
  } catch (const cancelled&) {
    stopped = std::current_exception();
    state.failed(stopped);
  } catch (...) {
    state.failed(std::current_exception());
  }
  scope_join join(state);
  co_await join;
  state.unlink();
  line.close(state);
  if (state.first_failure() != nullptr) std::rethrow_exception(state.first_failure());
  // What a stop from outside cut off, the body or a child, is not passed off as done.
  if (state.cut_off() && line.stop_is_under_way()) {
    if (stopped != nullptr) std::rethrow_exception(stopped);
    throw cancelled();
  }
  if constexpr (!std::is_void_v<R>) {
    if (!has_value)
      throw std::system_error(std::error_code(ECANCELED, std::system_category()),
                              "with_task_group: cancelled before its body returned a value");
    co_return returned.take();
  }
}

template <class T, class Call>
task<T> start_child(task_group& group, Call call) {
  own_promise own;
  promise_base& self = co_await own;
  auto refused = yield();
  if (strand_of(self).stop_requested()) co_await refused;  // throws
  oneshot_ends<start_outcome<T>> ends = oneshot<start_outcome<T>>();
  const join_handle<void> child =
      group.spawn(&run_starting<T, Call>, std::move(call), task_status<T>(std::move(ends.sender)));
  std::optional<start_outcome<T>> said;
  try {
    oneshot_receive<start_outcome<T>> receiving = ends.receiver.receive();
    said = co_await receiving;
  } catch (const cancelled&) {
    ends.receiver.close();
    said = ends.receiver.try_receive();
    if (!said) {
      child.cancel();
      throw;
    }
  }
  if (said && said->failure != nullptr && !is_cancelled(said->failure))
    std::rethrow_exception(said->failure);
  if (!said || said->failure != nullptr) {
    // A stop may reach this strand by way of the child that it ends.
    if (strand_of(self).stop_is_under_way()) throw cancelled();
    if (said)
      throw std::system_error(std::error_code(ECANCELED, std::system_category()),
                              "task_group::start: the child was cancelled");
    throw std::system_error(std::make_error_code(std::errc::broken_pipe),
                            "task_group::start: the child ended without saying that it started");
  }
  if constexpr (!std::is_void_v<T>) co_return *std::move(said->value);
}

}  // namespace detail

}  // namespace weft

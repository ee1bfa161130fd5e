// SPDX-License-Identifier: MIT
#pragma once
// How a child tells whoever started it that it is ready: the handle that task_group::start gives to
// its function, and what stands around that function until it has spoken.
//
// A oneshot between the child and start() decides, once. Who comes first: the child says that it
// has started; the child ends, and start() has its failure, the group never hears of it; or start()
// is cancelled and closes the oneshot. From then on the child is like any other one of its group.

#include "weft/runtime/child.hpp"
#include "weft/runtime/oneshot.hpp"
#include "weft/runtime/to_task.hpp"

#include <concepts>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace weft {

template <class T>
class task_status;

namespace detail {

template <class T>
struct start_outcome {
  std::optional<value_or_monostate<T>> value;
  std::exception_ptr failure;  // when there is no value
};

template <class T, class Call>
task<> run_starting(Call call, task_status<T> status);

}  // namespace detail

/// What the function of task_group::start is given first: `status.started(port)` lets start()
/// return, with that value.
///
/// Shape:    T is what start() gives, void for nothing; its move does not throw.
/// Thread:   the child, or a task that it awaits.
/// Lifetime: as long as the function runs.
template <class T = void>
class task_status {
public:
  /// Says that the child is ready, once; a second time it aborts. Nothing happens when whoever
  /// started it has been cancelled: the child is being cancelled, too.
  ///
  /// Cost: no allocation; who waits in start() is made ready, not resumed.
  template <class U = T>
    requires(!std::is_void_v<T> && std::same_as<U, T>)
  void started(std::type_identity_t<U> value) noexcept {
    detail::start_outcome<T> said{std::move(value), nullptr};
    say(std::move(said));
  }
  void started() noexcept
    requires std::is_void_v<T>
  {
    detail::start_outcome<T> said{std::monostate{}, nullptr};
    say(std::move(said));
  }

  explicit task_status(oneshot_sender<detail::start_outcome<T>> to) noexcept : to_(std::move(to)) {}

private:
  template <class V, class Call>
  friend task<> detail::run_starting(Call, task_status<V>);

  void say(detail::start_outcome<T> said) noexcept {
    WEFT_ASSERT(!spoken_, "a task says that it has started once: started() was called again");
    spoken_ = true;
    (void)to_.send(std::move(said));
  }
  /// True when start() has it, and it is gone from here: the child had not spoken, and is still
  /// waited for.
  bool try_fail(std::exception_ptr& e) noexcept {
    if (spoken_) return false;
    detail::start_outcome<T> failed{std::nullopt, std::move(e)};
    // What is refused is not moved from.
    if (to_.send(static_cast<detail::start_outcome<T>&&>(failed))) return true;
    e = std::move(failed.failure);
    return false;
  }

  oneshot_sender<detail::start_outcome<T>> to_;
  bool spoken_ = false;
};

namespace detail {

template <class T>
struct status_value {
  using type = T;
};
template <class R, class T, class... Args>
status_value<T> first_status(R (*)(task_status<T>&, Args...));
template <class R, class C, class T, class... Args>
status_value<T> first_status(R (C::*)(task_status<T>&, Args...));
template <class R, class C, class T, class... Args>
status_value<T> first_status(R (C::*)(task_status<T>&, Args...) const);

template <class F>
concept starting_closure = requires { first_status(&F::operator()); };
template <class F>
concept starting_function = requires(F f) { first_status(f); };

/// The T of the task_status<T>& that a function takes first.
template <class F>
auto status_value_of() noexcept {
  if constexpr (starting_closure<F>) {
    return decltype(first_status(&F::operator()))();
  } else {
    static_assert(starting_function<F>,
                  "weft: start calls a function whose first parameter is a "
                  "weft::task_status<T>&, spelled out, so that it knows what start gives");
    return decltype(first_status(std::declval<F&>()))();
  }
}
template <class F>
using status_value_t = typename decltype(status_value_of<F>())::type;

/// The child's body: from here on the child is known by its name.
struct named_body : ended_task {
  using ended_task::ended_task;

  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) noexcept {
    strand_of(*promise).set_name(child->line);
    std::coroutine_handle<> next = ended_task::await_suspend(h);
    current_worker()->switch_task(*child);
    return next;
  }
};

/// The child: its function, and who hears of a failure.
template <class T, class Call>
task<> run_starting(Call call, task_status<T> status) {
  std::exception_ptr failure;
  try {
    auto body = std::apply(
        [&](auto&&... args) {
          return std::move(call.function)(status, std::forward<decltype(args)>(args)...);
        },
        std::move(call.args));
    static_assert(std::is_same_v<decltype(body), task<>>,
                  "weft: the function of start returns a task<>: what it has to tell, it tells by "
                  "its task_status");
    named_body running(task_access::promise(body));
    co_await running;
    task_access::finished(body).take();
  } catch (...) {
    failure = std::current_exception();
  }
  // Out of the handler: whoever awaits start() has the failure to itself from then on.
  if (failure == nullptr) co_return;
  if (is_cancelled(failure)) {
    std::exception_ptr told = failure;
    (void)status.try_fail(told);
  } else if (status.try_fail(failure)) {
    co_return;
  }
  std::rethrow_exception(failure);
}

}  // namespace detail

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// when_all: runs several awaitables and waits for all of them. Each child is a strand of its own.
// The first starts at once, and what nobody took meanwhile the owner runs itself, one after the
// other, without going back to the scheduler (fork_join.hpp). On an event loop the same steps start
// the children in order.
//
// when_all does not cancel: it opens no scope. Use with_task_group where a failure should stop the
// rest.

#include "weft/runtime/fork_join.hpp"
#include "weft/runtime/small_range.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/to_task.hpp"

#include <array>
#include <cstddef>
#include <exception>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

namespace detail {

/// What escaped the children: the first failure in argument order, a cancel only if there is no
/// other.
class first_escape {
public:
  template <class P>
  void look_at(const P& promise) noexcept {
    if (promise.failed()) add(promise.exception());
  }
  /// There was one.
  [[noreturn]] void rethrow() const { std::rethrow_exception(first_); }

private:
  void add(const std::exception_ptr& e) noexcept;

  std::exception_ptr first_;
  bool only_cancelled_ = false;
};

template <class P>
decltype(auto) take_value(P& promise) {
  if constexpr (std::is_void_v<decltype(promise.take())>) {
    promise.take();
    return std::monostate{};
  } else {
    return promise.take();
  }
}

template <class... T>
class when_all_pack : public operation_tag {
public:
  using value_type = std::tuple<value_or_monostate<T>...>;

  explicit when_all_pack(task<T>&&... tasks) noexcept : tasks_(task_access::release(tasks)...) {}
  when_all_pack(when_all_pack&& other) noexcept : tasks_(std::exchange(other.tasks_, {})) {}
  ~when_all_pack() { drop(std::index_sequence_for<T...>{}); }

  bool await_ready() const noexcept { return sizeof...(T) == 0; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) noexcept {
    return start(h.promise(), std::index_sequence_for<T...>{});
  }
  value_type await_resume() { return take(std::index_sequence_for<T...>{}); }

private:
  template <std::size_t... I>
  std::coroutine_handle<> start(promise_base& parent, std::index_sequence<I...>) noexcept {
    (records_[I].set(task_access::unstarted(std::get<I>(tasks_))), ...);
    return join_.start(parent, records_.data(), sizeof...(T));
  }
  template <std::size_t... I>
  value_type take(std::index_sequence<I...> all) {
    if ((std::get<I>(tasks_)->failed() || ...)) [[unlikely]]
      rethrow(all);
    return value_type(take_value(*std::get<I>(tasks_))...);
  }

  template <std::size_t... I>
  [[noreturn, gnu::cold, gnu::noinline]] void rethrow(std::index_sequence<I...>) {
    first_escape escape;
    (escape.look_at(*std::get<I>(tasks_)), ...);
    escape.rethrow();
  }

  // The frame that was made last first, so that frames die in the order of a stack; which that is
  // depends on the order in which the compiler evaluates arguments.
  template <std::size_t... I>
  void drop(std::index_sequence<I...>) noexcept {
    constexpr std::size_t last = sizeof...(T) - 1;
    if constexpr (sizeof...(T) > 1)
      if (task_access::is_above(std::get<0>(tasks_), std::get<last>(tasks_)))
        return (task_access::drop(std::get<I>(tasks_)), ...);
    (task_access::drop(std::get<last - I>(tasks_)), ...);
  }

  std::tuple<task_promise<T>*...> tasks_;  // each is owned, or null
  std::array<fork_join::record, sizeof...(T)> records_;
  fork_join join_;
};

/// One record for each task of a range. None is moved once its child has started.
template <class Tasks>
struct fork_records : std::vector<fork_join::record> {
  using std::vector<fork_join::record>::vector;
};
template <class T, std::size_t N>
struct fork_records<std::array<task<T>, N>> : std::array<fork_join::record, N> {
  explicit fork_records(std::size_t) noexcept {}
  fork_records(fork_records&&) noexcept {}
};

template <class T, std::size_t N>
struct fork_records<small_range<task<T>, N>> : small_range<fork_join::record, N> {
  explicit fork_records(std::size_t n) noexcept {
    while (this->size() != n) this->emplace_back();
  }
  fork_records(fork_records&& other) noexcept : fork_records(other.size()) {}
};

/// A range of tasks of one type; `Tasks` is a vector, a small_range or an array, `Values` what it
/// gives.
template <class T, class Tasks, class Values>
class when_all_range : public operation_tag {
public:
  using value_type = Values;

  explicit when_all_range(Tasks&& tasks) : tasks_(std::move(tasks)), records_(tasks_.size()) {}
  when_all_range(when_all_range&& other) noexcept
      : tasks_(std::move(other.tasks_)), records_(std::move(other.records_)) {}
  ~when_all_range() {
    for (std::size_t i = tasks_.size(); i-- > 0;) task_access::drop(tasks_[i]);
  }

  bool await_ready() const noexcept { return tasks_.empty(); }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) noexcept {
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      records_[i].set(task_access::promise(tasks_[i]));
    return join_.start(h.promise(), records_.data(), records_.size());
  }
  Values await_resume() {
    for (auto& t : tasks_)
      if (task_access::finished(t).failed()) [[unlikely]]
        rethrow();
    if constexpr (std::is_void_v<Values>) {
      return;
    } else if constexpr (requires(Values v) { v.clear(); }) {
      Values values;
      if constexpr (requires { values.reserve(1); }) values.reserve(tasks_.size());
      for (auto& t : tasks_) values.push_back(task_access::finished(t).take());
      return values;
    } else {
      return take(std::make_index_sequence<std::tuple_size_v<Values>>{});
    }
  }

private:
  [[noreturn, gnu::cold, gnu::noinline]] void rethrow() {
    first_escape escape;
    for (auto& t : tasks_) escape.look_at(task_access::finished(t));
    escape.rethrow();
  }
  template <std::size_t... I>
  Values take(std::index_sequence<I...>) {
    return Values{task_access::finished(tasks_[I]).take()...};
  }

  Tasks tasks_;
  fork_records<Tasks> records_;
  fork_join join_;
};

}  // namespace detail

/// Runs all arguments and waits for all of them.
///
/// Shape:    tasks, operations or join_handles, in any mixture.
/// Returns:  a tuple of their values, std::monostate for void.
/// Errors:   when all have ended, rethrows the exception of the first argument that failed
///           (`cancelled` only if nothing else failed). Nothing is cancelled by a failure: see
///           with_task_group. It does not look at the scope's stop, the arguments' awaits do.
/// Thread:   on a pool the arguments may run on any worker, at the same time.
/// Lifetime: tasks are moved in; what they refer to outlives the co_await. The parameters of each
///           task live until all have ended: a channel_sender that was moved into one keeps its
///           channel open until then, so the task closes it when it has sent its last value.
/// Cost:     no allocation beside the frames of arguments that are no tasks.
template <class... A>
[[nodiscard]] auto when_all(A&&... awaitables) {
  return [](auto&&... tasks) {
    return detail::when_all_pack(std::move(tasks)...);
  }(detail::to_task(std::forward<A>(awaitables))...);
}

/// The same for a vector of tasks: gives a vector of their values in order (nothing for void).
///
/// Cost:     one allocation for all of them.
template <class T>
[[nodiscard]] auto when_all(std::vector<task<T>> tasks) {
  static_assert(!std::is_reference_v<T>, "weft: there is no vector of references: let the tasks "
                                         "give pointers or std::reference_wrapper");
  using values =
      std::conditional_t<std::is_void_v<T>, void, std::vector<detail::value_or_monostate<T>>>;
  return detail::when_all_range<T, std::vector<task<T>>, values>(std::move(tasks));
}

/// The same for a small_range of tasks: gives a small_range of their values in order (nothing for
/// void).
///
/// Cost:     no allocation.
template <class T, std::size_t N>
[[nodiscard]] auto when_all(small_range<task<T>, N> tasks) {
  static_assert(!std::is_reference_v<T>, "weft: there is no range of references: let the tasks "
                                         "give pointers or std::reference_wrapper");
  using values =
      std::conditional_t<std::is_void_v<T>, void, small_range<detail::value_or_monostate<T>, N>>;
  return detail::when_all_range<T, small_range<task<T>, N>, values>(std::move(tasks));
}

/// The same for an array of tasks: gives an array of their values in order (nothing for void).
///
/// Cost:     no allocation.
template <class T, std::size_t N>
[[nodiscard]] auto when_all(std::array<task<T>, N> tasks) {
  static_assert(!std::is_reference_v<T>, "weft: there is no array of references: let the tasks "
                                         "give pointers or std::reference_wrapper");
  using values =
      std::conditional_t<std::is_void_v<T>, void, std::array<detail::value_or_monostate<T>, N>>;
  return detail::when_all_range<T, std::array<task<T>, N>, values>(std::move(tasks));
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// when_any: runs several awaitables, and the first to complete wins; the others are cancelled and
// joined before it returns. The children are those of when_all, in a scope of their own. A child
// that only ends because its scope was stopped has not completed.

#include "weft/runtime/as_result.hpp"
#include "weft/runtime/atomics.hpp"
#include "weft/runtime/scope_join.hpp"
#include "weft/runtime/to_task.hpp"
#include "weft/runtime/when_all.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

/// What when_any gives of a range: which one won, and its value.
template <class T>
struct when_any_result {
  std::size_t index = 0;
  detail::value_or_monostate<T> value;
};

/// What when_any_settled gives: which one won, and the outcome of each.
template <class... T>
struct when_any_outcomes {
  std::size_t index = 0;
  std::tuple<result<T>...> results;
};

namespace detail {

/// The exception that a child's task has ended with, or null.
using failure_of = const std::exception_ptr* (*)(const promise_base&) noexcept;
template <class T>
const std::exception_ptr* failure_in(const promise_base& p) noexcept {
  const auto& ended = static_cast<const task_promise<T>&>(p);
  return ended.failed() ? &ended.exception() : nullptr;
}

/// Children of which the first to complete stops the others.
class first_of : public fork_join {
public:
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);

  explicit first_of(promise_base& parent) noexcept : scope_(strand_of(parent).home()) {
    strand_of(parent).open(scope_);
  }

  std::coroutine_handle<> start_all(promise_base& parent, record* first, const failure_of* failures,
                                    std::size_t count) noexcept {
    failures_ = failures;
    return start(parent, first, count, &first_of::child_ended);
  }

  joinable_scope& scope() noexcept { return scope_; }
  /// After the join: whose outcome counts, or `nobody` when all were stopped from outside.
  std::size_t close() noexcept {
    strand_of(parent()).close(scope_);
    return winner_.load(std::memory_order_relaxed);  // relaxed: read after the join
  }

private:
  static void child_ended(fork_join& join, record& child) noexcept;

  joinable_scope scope_;
  const failure_of* failures_ = nullptr;
  atomic<std::size_t> winner_{nobody};
};

/// The children of as many tasks; none is moved once it has started.
template <class Tasks>
struct any_children;
template <class T>
struct any_children<std::vector<task<T>>> {
  explicit any_children(std::vector<task<T>>& tasks)
      : records(tasks.size()), failures(tasks.size(), &failure_in<T>) {
    for (std::size_t i = 0; i < tasks.size(); ++i) records[i].set(task_access::promise(tasks[i]));
  }
  std::vector<fork_join::record> records;
  std::vector<failure_of> failures;
};
template <class... T>
struct any_children<std::tuple<task<T>...>> {
  explicit any_children(std::tuple<task<T>...>& tasks) {
    std::size_t i = 0;
    std::apply([&](auto&... each) { (records[i++].set(task_access::promise(each)), ...); }, tasks);
  }
  std::array<fork_join::record, sizeof...(T)> records;
  static constexpr std::array<failure_of, sizeof...(T)> failures{&failure_in<T>...};
};

/// Starts the children, and ends when all of them have.
template <class Children>
struct run_children : operation_tag {
  run_children(first_of& f, Children& c) noexcept : all(&f), children(&c) {}

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
    return all->start_all(*promise, children->records.data(), children->failures.data(),
                          children->records.size());
  }
  void await_resume() const noexcept {}

  first_of* all;
  Children* children;
  promise_base* promise = nullptr;
};

template <class... T>
using any_value = std::variant<value_or_monostate<T>...>;

template <std::size_t I, class... T>
any_value<T...> take_winner(std::tuple<task<T>...>& tasks, std::size_t winner) {
  if constexpr (I + 1 < sizeof...(T))
    if (winner != I) return take_winner<I + 1>(tasks, winner);
  return any_value<T...>(std::in_place_index<I>,
                         take_value(task_access::finished(std::get<I>(tasks))));
}

/// Runs all tasks, and gives what `take` makes of them and of the winner's index.
template <class Value, class Tasks>
task<Value> run_any(Tasks tasks, Value (*take)(Tasks&, std::size_t)) {
  own_promise own;
  promise_base& self = co_await own;
  any_children<Tasks> children(tasks);
  first_of all(self);
  run_children run(all, children);
  co_await run;
  scope_join join(all.scope());
  co_await join;
  const std::size_t winner = all.close();
  if (winner == first_of::nobody) throw cancelled();
  co_return take(tasks, winner);
}

template <class... T>
task<any_value<T...>> any_of_pack(task<T>... tasks) {
  static_assert(sizeof...(T) > 0, "weft: when_any of nothing would never complete");
  static_assert((!std::is_reference_v<T> && ...),
                "weft: there is no variant of references: let the tasks give pointers");
  using all = std::tuple<task<T>...>;
  return run_any<any_value<T...>, all>(all(std::move(tasks)...), &take_winner<0, T...>);
}

template <class... T>
task<when_any_outcomes<T...>> settled_of_pack(task<T>... tasks) {
  static_assert(sizeof...(T) > 0, "weft: when_any_settled of nothing would never complete");
  using all = std::tuple<task<T>...>;
  return run_any<when_any_outcomes<T...>, all>(
      all(std::move(tasks)...), [](all& ended, std::size_t winner) {
        return std::apply(
            [&](auto&... each) {
              return when_any_outcomes<T...>{winner, {result_of(task_access::finished(each))...}};
            },
            ended);
      });
}

}  // namespace detail

/// Runs all arguments until the first completes, with a value or an exception; cancels the others,
/// and returns when they have ended too.
///
/// Shape:    tasks, operations or join_handles, in any mixture, at least one.
/// Returns:  a variant whose index() says who won, std::monostate for void. What a loser still
///           gave is destroyed (a socket is closed); when_any_settled hands it over.
/// Errors:   rethrows the winner's exception; what losers throw is dropped. `cancelled` when all
///           were stopped from outside before one had completed.
/// Thread:   on a pool the arguments may run on any worker, at the same time.
/// Lifetime: tasks are moved in; what they refer to outlives the co_await.
/// Cost:     one frame beside those of arguments that are no tasks.
template <class... A>
[[nodiscard]] auto when_any(A&&... awaitables) {
  return detail::any_of_pack(detail::to_task(std::forward<A>(awaitables))...);
}

/// The same for a vector of tasks.
///
/// Errors: invalid_argument when it is empty.
/// Cost:   one frame and two allocations for all of them.
template <class T>
[[nodiscard]] task<when_any_result<T>> when_any(std::vector<task<T>> tasks) {
  static_assert(!std::is_reference_v<T>, "weft: a result holds no reference: let the tasks give "
                                         "pointers");
  if (tasks.empty())
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "when_any of nothing would never complete");
  using all = std::vector<task<T>>;
  return detail::run_any<when_any_result<T>, all>(
      std::move(tasks), [](all& ended, std::size_t winner) {
        return when_any_result<T>{winner,
                                  detail::take_value(detail::task_access::finished(ended[winner]))};
      });
}

/// The same, with everybody's outcome: the winner's, and of each loser operation_canceled, or what
/// it gave when it was too late to cancel it.
///
/// Errors: exceptions that are no system_error pass; the first in argument order.
template <class... A>
[[nodiscard]] auto when_any_settled(A&&... awaitables) {
  return detail::settled_of_pack(detail::to_task(std::forward<A>(awaitables))...);
}

}  // namespace weft

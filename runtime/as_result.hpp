// SPDX-License-Identifier: MIT
#pragma once
// as_result: the outcome of an await as a value. An operation goes all the way without a throw; a
// task may have thrown inside, and a system_error or a cancel that leaves it becomes a value here.

#include "weft/runtime/join_handle.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/result.hpp"
#include "weft/runtime/task.hpp"

#include <concepts>
#include <coroutine>
#include <exception>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class Operation>
class operation_as_result final : public Operation {
public:
  using value_type = result<typename Operation::value_type>;

  explicit operation_as_result(Operation&& o) : Operation(std::move(o)) {}

  value_type await_resume() noexcept(noexcept(std::declval<Operation&>().outcome())) {
    if constexpr (noexcept(std::declval<Operation&>().outcome())) {
      return Operation::outcome();
    } else {  // a join_handle: what its task threw
      try {
        return Operation::outcome();
      } catch (const std::system_error& e) {
        return failure{e.code()};
      }
    }
  }
};

/// What a task that has ended left behind; exceptions that are no system_error pass through.
template <class T>
result<T> result_of(task_promise<T>& ended) {
  try {
    if constexpr (std::is_void_v<T>) {
      ended.take();
      return {};
    } else if constexpr (std::is_reference_v<T>) {
      return result<T>(ended.take());
    } else {
      return result<T>(std::in_place, ended.take());
    }
  } catch (const std::system_error& e) {
    return failure{e.code()};
  } catch (const cancelled&) {
    return failure{cancelled_code()};
  }
}

template <class T>
class task_as_result final : public operation_tag {
public:
  using value_type = result<T>;

  explicit task_as_result(task<T>&& t) noexcept : task_(std::move(t)) {}

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
    return promise->call(task_access::promise(task_));
  }
  result<T> await_resume() { return result_of(task_access::finished(task_)); }

  promise_base* promise = nullptr;

private:
  task<T> task_;
};

}  // namespace detail

/// `auto r = co_await as_result(stream.read(buffer)); if (!r) use(r.error());`
///
/// Shape:    an operation, a task or a join_handle.
/// Returns:  result<T>; a cancel is errc::operation_canceled.
/// Errors:   exceptions other than system_error and cancelled pass through (of tasks and handles).
/// Cost:     nothing beside the await itself; no throw on the way of an operation.
template <class Operation>
  requires std::derived_from<Operation, detail::operation_tag> &&
           requires(Operation& o) { o.outcome(); }
[[nodiscard]] detail::operation_as_result<Operation> as_result(Operation&& op) {
  return detail::operation_as_result<Operation>(std::forward<Operation>(op));
}

/// The same for a task.
template <class T>
[[nodiscard]] detail::task_as_result<T> as_result(task<T>&& t) noexcept {
  return detail::task_as_result<T>(std::move(t));
}

/// The same for a spawned task; the handle outlives the co_await.
template <class T>
[[nodiscard]] auto as_result(const join_handle<T>& handle) {
  return as_result(handle.operator co_await());
}

/// On g++ 12: the handle is named first (auto child = group.spawn(...); as_result(child)).
template <class T>
auto as_result(detail::named_join_handle<T>&& unnamed) = delete;

}  // namespace weft

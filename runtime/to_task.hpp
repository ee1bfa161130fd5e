// SPDX-License-Identifier: MIT
#pragma once
// What combinators take: tasks, operations and join_handles, each turned into a task.

#include "weft/runtime/join_handle.hpp"
#include "weft/runtime/task.hpp"

#include <concepts>
#include <type_traits>
#include <utility>
#include <variant>

namespace weft::detail {

template <class T>
using value_or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// Wraps an awaitable that is no task.
template <class T, class A>
task<T> as_task(A awaitable) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(awaitable);
  } else {
    T value = co_await std::move(awaitable);
    co_return static_cast<T&&>(value);
  }
}

template <class T>
task<T>&& to_task(task<T>&& t) noexcept {
  return std::move(t);
}
template <class A>
  requires std::derived_from<A, operation_tag>
task<typename A::value_type> to_task(A&& a) {
  return as_task<typename A::value_type, A>(std::forward<A>(a));
}
template <class T>
task<T> to_task(named_join_handle<T>&& unnamed) = delete;  // join_handle<T> h = group.spawn(...)
template <class T>
task<T> to_task(join_handle<T>&& h) {
  return as_task<T, join_handle<T>>(std::move(h));
}

/// What to_task() makes of an A, and the value of that.
template <class A>
using task_of = std::remove_cvref_t<decltype(to_task(std::declval<A>()))>;
template <class A>
using value_of = typename task_of<A>::value_type;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The handle of a spawned task: awaits its value. The task belongs to its group, not to the handle;
// dropping the handle changes nothing for the task.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/scope.hpp"

#include <cerrno>
#include <concepts>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

class task_group;

namespace detail {

template <class T>
class join_operation : public awaitable_operation<join_operation<T>, T, waiter> {
public:
  static constexpr const char* name = "join_handle";

  explicit join_operation(child<T>& c) noexcept : child_(&c) {}

  bool try_now(worker&) noexcept { return child_->done(); }
  bool start(worker&) noexcept { return child_->try_add_waiter(*this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<join_operation&>(op);
    self.withdrawn_ = self.child_->try_remove_waiter(self);
    return self.withdrawn_;
  }
  /// What the task threw is rethrown, but a cancel of the task alone is an error of its joiner.
  result<T> finish() {
    if (withdrawn_) return failure{cancelled_code()};
    try {
      if constexpr (std::is_void_v<T>) {
        child_->take();
        return {};
      } else if constexpr (std::is_reference_v<T>) {
        return result<T>(child_->take());
      } else {
        return result<T>(std::in_place, child_->take());
      }
    } catch (const cancelled&) {
      // It may have been this strand's own stop that ended the child first.
      if (strand_of(*this->promise).stop_is_under_way()) return failure{cancelled_code()};
      return failure{std::error_code(ECANCELED, std::system_category())};
    }
  }

private:
  child<T>* child_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// A spawned task that can be awaited.
///
/// Returns:  `co_await handle` gives the task's value, once.
/// Errors:   rethrows what escaped the task; system_error(operation_canceled) when the task was
///           cancelled; `cancelled` when the awaiting scope is stopped (the task goes on).
/// Thread:   used by one task at a time, on any scheduler.
/// Lifetime: may outlive the task and its group.
/// Cost:     no allocation.
template <class T>
class join_handle {
public:
  join_handle(join_handle&& other) noexcept : child_(std::exchange(other.child_, nullptr)) {}
  join_handle& operator=(join_handle&& other) noexcept {
    std::swap(child_, other.child_);
    return *this;
  }
  ~join_handle() {
    if (child_ != nullptr) child_->drop_owner();
  }

  /// Cancels this task alone; its group goes on, and whoever awaits the handle gets
  /// system_error(operation_canceled). Does nothing when the task has ended.
  ///
  /// Thread:   a task of the same scheduler; any other one makes sure that the group has not ended.
  /// Cost:     allocates nothing, runs no task.
  void cancel() const noexcept { child().request_stop(); }

  /// True once the task has ended.
  bool done() const noexcept { return child().done(); }

  detail::join_operation<T> operator co_await() const noexcept {
    return detail::join_operation<T>(child());
  }

private:
  friend task_group;

  detail::child<T>& child() const noexcept {
    WEFT_ASSERT(child_ != nullptr, "this join_handle is empty: it was moved from");
    return *child_;
  }

  explicit join_handle(detail::child<T>& c) noexcept : child_(&c) { c.add_handle(); }

  detail::child<T>* child_;
};

namespace detail {

/// On g++ 12, what spawn gives for a temporary lambda whose captures have destructors.
template <class T>
class named_join_handle : public join_handle<T> {
public:
  explicit named_join_handle(join_handle<T>&& h) noexcept : join_handle<T>(std::move(h)) {}

  join_operation<T> operator co_await() const& noexcept {
    return join_handle<T>::operator co_await();
  }
  template <class U = T>
  join_operation<U> operator co_await() && noexcept {
    static_assert(!std::same_as<U, U>,
                  "weft: name the handle first (auto child = group.spawn(...); co_await child): "
                  "g++ 12 destroys the captures of a temporary lambda twice in a co_await");
    return join_handle<T>::operator co_await();
  }
};

}  // namespace detail

}  // namespace weft

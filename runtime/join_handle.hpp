// SPDX-License-Identifier: MIT
#pragma once
// The handle of a spawned task: awaits its value. The task belongs to its group, not to the handle;
// dropping the handle changes nothing for the task.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/operation.hpp"

#include <cerrno>
#include <utility>

namespace weft {

class task_group;

namespace detail {

template <class T>
class join_operation : public awaitable_operation<join_operation<T>, T, waiter> {
public:
  static constexpr const char* name = "join_handle";

  explicit join_operation(child_promise<T>& c) noexcept : child_(&c) {}

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
      } else {
        return result<T>(child_->take());
      }
    } catch (const cancelled&) {
      return failure{std::error_code(ECANCELED, std::system_category())};
    }
  }

private:
  child_promise<T>* child_;
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

  /// True once the task has ended.
  bool done() const noexcept { return child_->done(); }

  detail::join_operation<T> operator co_await() const noexcept {
    WEFT_ASSERT(child_ != nullptr, "this join_handle is empty: it was moved from");
    return detail::join_operation<T>(*child_);
  }

private:
  friend task_group;

  explicit join_handle(detail::child_promise<T>& c) noexcept : child_(&c) { c.add_owner(); }

  detail::child_promise<T>* child_;
};

}  // namespace weft

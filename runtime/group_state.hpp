// SPDX-License-Identifier: MIT
#pragma once
// What task groups and runs have in common: a cancel scope with children that fail fast. The first
// failure stops the scope and is kept to be rethrown; the others go to the list that the user gave.
// `cancelled` out of a stopped scope is no failure.

#include "weft/runtime/operation.hpp"
#include "weft/runtime/scope.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <array>
#include <cstddef>
#include <exception>
#include <span>
#include <utility>

namespace weft {

namespace detail {
class group_state;
}

/// The failures of a task group beside the one that it rethrows: give its address as the group's
/// option
/// `.failures`, and read it when the group has ended.
///
/// Thread:   read it after the group has ended.
/// Lifetime: outlives the group.
class group_failures {
public:
  static constexpr std::size_t kept_max = 16;

  /// All failures after the first, also those beyond kept_max.
  std::size_t count() const noexcept { return count_; }
  /// The first of them, in the order in which they happened.
  std::span<const std::exception_ptr> exceptions() const noexcept {
    return {exceptions_.data(), count_ < kept_max ? count_ : kept_max};
  }

private:
  friend detail::group_state;

  std::array<std::exception_ptr, kept_max> exceptions_;
  std::size_t count_ = 0;
};

namespace detail {

class group_state : public cancel_scope {
public:
  group_state(scheduler& home, empty_fn on_empty, promise_base* opener,
              group_failures* others) noexcept
      : cancel_scope(home, on_empty), opener_(opener), others_(others) {}

  /// Thread: any, while the caller holds the scope.
  void failed(const std::exception_ptr& e) noexcept;

  /// The coroutine that opened it, null for the main task of a run.
  promise_base* opener() const noexcept { return opener_; }
  /// The first failure. Thread: whoever joined it.
  const std::exception_ptr& first_failure() const noexcept { return first_; }

  /// Who waits for the last child. Written before the opener's hold is released.
  waiter* joiner = nullptr;

private:
  promise_base* const opener_;
  group_failures* const others_;
  spin_lock lock_;
  std::exception_ptr first_;  // guarded by lock_ until the scope is empty
};

/// Waits until a group has no children left. A stop does not refuse it: it stops the children.
struct group_join : waiter, operation_tag {
  explicit group_join(group_state& g) noexcept
      : waiter([](operation&, worker&) noexcept { return false; }), group(&g) {}

  bool await_ready() noexcept {
    closed = group->try_close();
    return closed && current_worker()->spend();
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (closed) {  // the budget is gone
      current_worker()->ready(*this);
      return;
    }
    group_state& g = *group;
    strand& s = strand_of(*promise);
    g.joiner = this;
    s.begin_join(*this);
    s.commit_wait();
    g.release();
  }
  void await_resume() const noexcept {}

  static void wake(cancel_scope& s) noexcept { static_cast<group_state&>(s).joiner->complete(); }

  group_state* group;
  bool closed = false;  // no child was left
};

}  // namespace detail

}  // namespace weft

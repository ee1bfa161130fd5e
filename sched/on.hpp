// SPDX-License-Identifier: MIT
#pragma once
// on: runs a task on another scheduler and comes back. The caller stays where it is and waits; a
// cancel of the caller stops the task over there.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/main_task.hpp"
#include "weft/sched/guest.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace weft {

namespace detail {

/// The caller's wait, and the guest that its task is over there.
class away final : public waiter, public guest, public operation_tag {
public:
  away(scheduler& there, child_base& root, promise_base& caller) noexcept;
  ~away() {
    if (!started_) (void)try_close();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) noexcept;
  /// False when nothing was started: the scope here is stopped, or the scheduler there shuts down.
  bool await_resume() const noexcept { return started_; }

  static constexpr const char* name = "on: its task on another scheduler";
  static bool withdraw(operation& op, worker&) noexcept;

private:
  static void come_back(guest& g) noexcept;

  child_base* root_;
  bool started_ = false;
};

[[noreturn]] void throw_from_away(const promise_base& self, const std::exception_ptr& e);

}  // namespace detail

/// Runs `t` on `there`, and goes on here with its value.
///
/// Returns:  t's value.
/// Errors:   rethrows what escaped t; `cancelled` when the caller's scope was stopped, after t has
///           ended; system_error(operation_canceled) when `there` shut down.
/// Thread:   any worker of any scheduler, also of `there`.
/// Lifetime: `there` outlives the co_await. An event_loop makes progress only while it runs.
/// Cost:     a frame, a record, and a wake-up in each direction.
template <class T>
task<T> on(scheduler& there, task<T> t) {
  detail::own_promise own;
  detail::promise_base& self = co_await own;
  detail::outcome<T> out;
  auto* const root = new detail::guest_child<T>(std::move(t), out);
  detail::away trip(there, *root, self);
  const bool started = co_await trip;
  if (!started) {
    root->drop_owner();
    detail::throw_from_away(self, nullptr);
  }
  if (out.failed()) detail::throw_from_away(self, out.exception());
  co_return out.take();
}

}  // namespace weft

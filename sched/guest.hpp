// SPDX-License-Identifier: MIT
#pragma once
// A guest is a group of tasks that runs on a scheduler for somebody outside: the main task of a
// run, or a task that came by on(). A scheduler ends no earlier than its guests; when it shuts down
// it stops them and waits.

#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"

namespace weft::detail {

class guest : public group_state {
public:
  /// `ended` is called once, on a worker, when the last task has ended: the guest may go then.
  /// `opener` is the coroutine that waits for it, on whichever scheduler; null for a plain thread.
  /// Nothing is done with it but walking who awaits whom.
  using ended_fn = void (*)(guest&) noexcept;

  guest(scheduler& home, ended_fn ended, promise_base* opener) noexcept
      : group_state(home, &guest::on_empty, opener), ended_(ended) {}

private:
  friend class guest_list;

  static void on_empty(cancel_scope& s) noexcept {
    auto& self = static_cast<guest&>(s);
    const ended_fn ended = self.ended_;
    self.home().dismiss(self);
    ended(self);
  }

  const ended_fn ended_;
  guest* before_ = nullptr;  // guarded by the list
  guest* behind_ = nullptr;
};

/// Runs a guest's task and keeps what became of it. The task's frame goes before the guest ends:
/// what its parameters refer to need not outlive the run.
template <class T>
child<void> run_guest(task<T> main, outcome<T>& out) {
  try {
    task<T> body = std::move(main);
    body_awaiter<T> awaited(body);
    if constexpr (std::is_void_v<T>) {
      co_await awaited;
    } else {
      T value = co_await awaited;
      out.return_value(static_cast<T&&>(value));
    }
  } catch (...) {
    out.set_exception(std::current_exception());
  }
}

}  // namespace weft::detail

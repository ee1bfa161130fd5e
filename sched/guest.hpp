// SPDX-License-Identifier: MIT
#pragma once
// A guest is a group of tasks that runs on a scheduler for somebody outside: the main task of a
// run, or a task that came by on(). A scheduler ends no earlier than its guests; when it shuts down
// it stops them and waits.

#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace weft::detail {

/// Guests of all schedulers. A scheduler whose tasks all wait cannot tell a deadlock from tasks
/// that another one's will wake. (Who waits for the end of a guest itself, by on(), says so by
/// scheduler::hold_outside.)
///
///   G1: a guest's tasks wake whom they wake, then it is uncounted (seq_cst) -> who reads the count
///       (seq_cst), then its mailboxes, finds what was sent.
inline constinit std::atomic<std::size_t> guests_everywhere{0};

class guest : public group_state {
public:
  /// `ended` is called once, on a worker, when the last task has ended: the guest may go then.
  /// `opener` is the coroutine that waits for it, on whichever scheduler; null for a plain thread.
  /// Nothing is done with it but walking who awaits whom.
  using ended_fn = void (*)(guest&) noexcept;

  guest(scheduler& home, ended_fn ended, promise_base* opener) noexcept
      : group_state(home, &guest::on_empty, opener), ended_(ended) {}

protected:
  /// What is called, once, when nothing can wake this guest's tasks any more; it stops them. Before
  /// it is admitted.
  void on_deadlock(void (*f)(guest&, const std::string& report) noexcept) noexcept {
    deadlocked_ = f;
  }

public:
  /// Reports leave it out: it is none of the user's. Before it is admitted.
  void hide() noexcept { hidden_ = true; }

private:
  friend class guest_list;

  static void on_empty(cancel_scope& s) noexcept {
    auto& self = static_cast<guest&>(s);
    const ended_fn ended = self.ended_;
    guests_everywhere.fetch_sub(1, std::memory_order_seq_cst);  // sync: G1
    self.home().dismiss(self);
    ended(self);
  }

  const ended_fn ended_;
  bool hidden_ = false;
  void (*deadlocked_)(guest&, const std::string& report) noexcept = nullptr;
  guest* before_ = nullptr;  // guarded by the list, as what follows
  guest* behind_ = nullptr;
  std::uint64_t number_ = 0;  // in the order of their coming
};

/// Runs a guest's task and keeps what became of it. The task's frame goes before the guest ends:
/// what its parameters refer to need not outlive the run.
template <class T>
class guest_child final : public child_base {
public:
  guest_child(task<T>&& main, outcome<T>& out) noexcept
      : child_base(kind), main_(std::move(main)), out_(&out) {}

private:
  static promise_base* begin(child_base& c) noexcept {
    return &task_access::promise(static_cast<guest_child&>(c).main_);
  }
  static const std::exception_ptr* end(child_base& c, bool) noexcept {
    auto& self = static_cast<guest_child&>(c);
    hand_over<T>(task_access::finished(self.main_), *self.out_);
    task_access::drop(self.main_);
    return nullptr;
  }
  static void destroy(child_base& c) noexcept { delete &static_cast<guest_child&>(c); }

  static constexpr child_kind kind{&begin, &end, &destroy};

  task<T> main_;
  outcome<T>* out_;
};

}  // namespace weft::detail

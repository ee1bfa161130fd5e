// SPDX-License-Identifier: MIT
#pragma once
// The main task of a run: the guest that it runs in, its outcome, and the signal that all has
// ended.

#include "weft/runtime/child.hpp"
#include "weft/sched/guest.hpp"

#include <string>
#include <system_error>
#include <utility>

namespace weft::detail {

/// Thread: made and taken by the thread that called run; ended on a worker.
class main_task_base : public guest {
public:
  explicit main_task_base(scheduler& home);

  /// Has it stopped, and run throw, when nothing can wake its tasks. Before prepare().
  void report_deadlock() noexcept;
  /// Makes it a guest with a task; launch() has to follow.
  ///
  /// Errors: bad_alloc; operation_canceled when the scheduler is shutting down. Nothing runs then.
  virtual void prepare() = 0;
  /// Starts the task.
  void launch() noexcept;

  /// Blocks the thread until everything has ended.
  void wait() noexcept;
  /// Stops the main task because a signal has come. Thread: a worker, while the run waits for it.
  void stop_on_signal(int number) noexcept {
    stopped_by_ = number;
    request_stop();
  }
  /// For the loop that drives it on this very thread.
  const bool& ended() const noexcept { return ended_; }
  /// The same for others. Thread: any.
  bool has_ended() const noexcept;

protected:
  ~main_task_base();

  void prepare(child_base& root);
  void throw_if_deadlocked() const;
  [[noreturn]] void rethrow(const std::exception_ptr& e) const;

private:
  struct signal;
  static void set_ended(guest& g) noexcept;

  signal* const signal_;
  child_base* root_ = nullptr;  // from prepare() to launch()
  bool ended_ = false;          // guarded by the signal's mutex
  int stopped_by_ = 0;          // written by the watch, whose end the run waits for
  // Written by a worker while the run waits.
  bool deadlocked_ = false;
  std::string deadlock_report_;
};

template <class T>
class main_task final : public main_task_base {
public:
  main_task(scheduler& home, task<T>&& main) : main_task_base(home), main_(std::move(main)) {}

  void prepare() override {
    main_task_base::prepare(*new guest_child<T>(std::move(main_), outcome_));
  }

  T take() {
    throw_if_deadlocked();
    if (outcome_.failed()) rethrow(outcome_.exception());
    return outcome_.take();
  }

private:
  task<T> main_;
  outcome<T> outcome_;
};

}  // namespace weft::detail

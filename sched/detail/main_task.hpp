// SPDX-License-Identifier: MIT
#pragma once
// The main task of a run: the guest that it runs in, its outcome, and the signal that all has
// ended.

#include "weft/runtime/child.hpp"
#include "weft/sched/guest.hpp"

#include <system_error>
#include <utility>

namespace weft::detail {

/// Thread: made and taken by the thread that called run; ended on a worker.
class main_task_base : public guest {
public:
  explicit main_task_base(scheduler& home);

  /// Starts the main task. Errors: operation_canceled when the scheduler is shutting down.
  virtual void start() = 0;

  /// Blocks the thread until everything has ended.
  void wait() noexcept;
  /// For the loop that drives it on this very thread.
  const bool& ended() const noexcept { return ended_; }

protected:
  ~main_task_base();

  void begin(child_base& root);
  [[noreturn]] static void rethrow(const std::exception_ptr& e);

private:
  struct signal;
  static void set_ended(guest& g) noexcept;

  signal* const signal_;
  bool ended_ = false;  // guarded by the signal's mutex
};

template <class T>
class main_task final : public main_task_base {
public:
  main_task(scheduler& home, task<T>&& main) : main_task_base(home), main_(std::move(main)) {}

  void start() override { begin(*run_guest<T>(std::move(main_), outcome_).promise); }

  T take() {
    if (outcome_.failed()) rethrow(outcome_.exception());
    return outcome_.take();
  }

private:
  task<T> main_;
  outcome<T> outcome_;
};

}  // namespace weft::detail

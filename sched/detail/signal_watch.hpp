// SPDX-License-Identifier: MIT
#pragma once
// The options .stop_on with .grace, and .dump_on: guests beside the main task of a run that wait
// for signals, so that stopping the main task does not stop them. The signals are caught from
// before the main task starts until the run has ended: all the while a second one of .stop_on ends
// the program.

#include "weft/io/caught_signals.hpp"
#include "weft/sched/detail/main_task.hpp"
#include "weft/sched/run_options.hpp"

#include <optional>

namespace weft::detail {

/// A guest that waits for signals.
class signal_watch {
public:
  /// Catches them from here on; `make_body(caught)` gives the task that waits for them.
  ///
  /// Errors: bad_alloc; system_error that names what could not be had.
  /// Thread: the one that called run, before it becomes a worker.
  template <class MakeBody>
  signal_watch(scheduler& home, kernel& k, signal_set set, signal_catch how, const char* call,
               MakeBody make_body)
      : caught_(k, set, how, call), body_(home, make_body(caught_)) {
    body_.hide();
  }
  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;
  /// Blocks until it has ended; on an event loop it has, as all its guests.
  ~signal_watch();

  /// Sees the signals that have come, too. Errors: as main_task_base::prepare.
  void start();

private:
  caught_signals caught_;
  main_task<void> body_;
  bool started_ = false;
};

/// Those that the options of a run ask for.
class signal_watches {
public:
  /// `main` is prepared before start(). Errors, thread: as signal_watch.
  signal_watches(scheduler& home, kernel& k, const run_options& o, main_task_base& main);

  void start();

private:
  std::optional<signal_watch> dump_;
  std::optional<signal_watch> stop_;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The options .stop_on and .grace: a second guest beside the main task of a run, so that stopping
// the one does not stop the other. The signals are caught from before the main task starts until
// the run has ended: all the while a second one ends the program.

#include "weft/io/caught_signals.hpp"
#include "weft/sched/detail/main_task.hpp"
#include "weft/sched/run_options.hpp"

namespace weft::detail {

class stop_watch {
public:
  /// Catches `o.stop_on` from here on.
  ///
  /// Errors: bad_alloc; system_error that names what could not be had.
  /// Thread: the one that called run, before it becomes a worker.
  stop_watch(scheduler& home, kernel& k, const run_options& o, main_task_base& main);
  stop_watch(const stop_watch&) = delete;
  stop_watch& operator=(const stop_watch&) = delete;
  /// Blocks until the watch has ended; on an event loop it has, as all its guests.
  ~stop_watch();

  /// Stops `main`, which is prepared, at the first signal that comes, or that has come.
  ///
  /// Errors: as main_task_base::prepare.
  void start();

private:
  caught_signals caught_;
  main_task<void> watch_;
  bool started_ = false;
};

}  // namespace weft::detail

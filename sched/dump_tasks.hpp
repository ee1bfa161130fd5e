// SPDX-License-Identifier: MIT
#pragma once
// dump_tasks: who awaits whom, right now, as text: for the question why a program hangs. Also on a
// signal: run({.dump_on = {SIGQUIT}}, task) writes it to standard error whenever that comes.

#include "weft/runtime/scheduler.hpp"

#include <string>

namespace weft {

/// The tasks of `s`: each frame with the file and line of the co_await where it stands, below
/// whoever awaits it; what it waits for, and where whoever holds that took it; since when its task
/// has been waiting off and on, how long it still has, whose ring or timers it is in.
///
/// Returns: a line a frame. Tasks that have never had to wait are not shown, nor frames of weft's
///          own headers; at most 10,000 lines.
/// Errors:  bad_alloc; timed_out when an event loop that another thread runs, or that nobody runs,
///          does not answer within a second.
/// Thread:  any. A pool goes on meanwhile: tasks next to the one that is looked at wait for that
///          look. A loop is asked between two tasks.
/// Cost:    linear in the tasks; nothing when it is not called.
[[nodiscard]] std::string dump_tasks(scheduler& s);

/// Those of the scheduler that runs the calling task.
///
/// Errors: operation_not_permitted on a thread that runs no task.
[[nodiscard]] std::string dump_tasks();

}  // namespace weft

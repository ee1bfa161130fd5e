// SPDX-License-Identifier: MIT
#pragma once
// run: the line that starts everything. One worker is an event loop on the calling thread, several
// are a thread pool that lives as long as the call; the task is the same.

#include "weft/sched/event_loop.hpp"
#include "weft/sched/run_options.hpp"
#include "weft/sched/thread_pool.hpp"

#include <utility>

namespace weft {

/// Runs `main` to its end: concurrently with `.workers = 1`, in parallel with more.
///
/// Returns:  main's value.
/// Errors:   rethrows what escaped main; system_error(operation_canceled) instead of `cancelled`;
///           system_error that names the call and its likely cause when the runtime cannot start;
///           resource_deadlock_would_occur inside a task; `deadlock`, with the tree of who awaits
///           whom, when all tasks wait and nothing is left that could wake one.
/// Thread:   any that runs no task; blocks it.
/// Cost:     opens a ring per worker; a pool starts a thread for each worker besides.
template <class T>
T run(const run_options& options, task<T> main) {
  const unsigned workers = options.workers != 0 ? options.workers : available_cores();
  if (workers == 1) {
    event_loop loop(options);
    return loop.run(std::move(main));
  }
  thread_pool pool(options);
  return pool.run(std::move(main));
}

/// The same on an event loop, on the calling thread.
template <class T>
T run(task<T> main) {
  return run(run_options{}, std::move(main));
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// How a scheduler is set up: one struct for run, event_loop and thread_pool.

#include "weft/io/kernel/kernel.hpp"
#include "weft/io/signal_set.hpp"

#include <chrono>

namespace weft {

class trace_recording;

/// Every field has a default; `run({.workers = 4}, task)` names what differs.
///
/// `run({.stop_on = {SIGINT, SIGTERM}, .grace = 5s}, task)` ends by Ctrl-C: the first of these
/// signals stops the main task, as a cancel does, and when `cancelled` escapes it run throws
/// system_error(operation_canceled) that names the signal. A second one ends the program at once.
/// So does the first when the main task has not ended within the grace, after a line on standard
/// error that says what is left: nothing is freed that the kernel may still write to. (A task that
/// computes without an await keeps an event loop from noticing either; not so the second signal.)
struct run_options {
  unsigned workers = 1;              // 1: an event loop; more: a pool; 0: one per available core
  trace_recording* trace = nullptr;  // records who ran when
  unsigned helpers_max = 16;         // threads for blocking calls, started when needed
  weft::kernel* kernel = nullptr;    // null: the real one
  queue_options queue = {};
  signal_set stop_on = {};            // caught during each run
  std::chrono::nanoseconds grace{0};  // 0: as long as it takes
  signal_set dump_on = {};            // write dump_tasks() to standard error, as often as they come
};

/// The cores that this process may use: its affinity mask, and the CPU quota of its control group
/// and those around it (cgroup version 2; a part of a core counts as one). At least 1.
unsigned available_cores() noexcept;

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// How a scheduler is set up: one struct for run, event_loop and thread_pool.

#include "weft/io/kernel/kernel.hpp"
#include "weft/io/signal_set.hpp"

#include <chrono>
#include <string_view>

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
///
/// `.stall_after = 100ms` has a thread look after the workers: a task or posted function that keeps
/// its worker busy for longer, by a blocking call or by computing without an await, is reported
/// once, with its name, the line that it came back from and the thread's stack; so is a task that
/// goes on after 1,000 awaits in a row were refused because its scope is stopped. At most one
/// report of each kind a second, the others are counted. `on_stall` is called by that thread, or by
/// the worker itself; it returns soon and throws nothing. For the stack the worker is sent a
/// SIGURG, by which a system call that it blocks in may end with EINTR (signal(7)).
struct run_options {
  unsigned workers = 1;              // 1: an event loop; more: a pool; 0: one per available core
  trace_recording* trace = nullptr;  // records who ran when
  unsigned helpers_max = 16;         // threads for blocking calls, started when needed
  weft::kernel* kernel = nullptr;    // null: system_kernel()
  queue_options queue = {};
  signal_set stop_on = {};            // caught during each run
  std::chrono::nanoseconds grace{0};  // 0: as long as it takes
  signal_set dump_on = {};            // write dump_tasks() to standard error, as often as they come
  std::chrono::nanoseconds stall_after{0};  // report a worker that is kept busy longer; 0: never
  void (*on_stall)(std::string_view report) = nullptr;  // null: to standard error
};

/// The cores that this process may use: its affinity mask, and the CPU quota of its control group
/// and those around it (cgroup version 2; a part of a core counts as one). At least 1.
unsigned available_cores() noexcept;

}  // namespace weft

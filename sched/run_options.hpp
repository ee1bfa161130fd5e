// SPDX-License-Identifier: MIT
#pragma once
// How a scheduler is set up: one struct for run, event_loop and thread_pool.

#include "weft/io/kernel/kernel.hpp"

namespace weft {

class trace_recording;

/// Every field has a default; `run({.workers = 4}, task)` names what differs.
struct run_options {
  unsigned workers = 1;              // 1: an event loop; more: a pool; 0: one per available core
  trace_recording* trace = nullptr;  // records who ran when
  unsigned helpers_max = 16;         // threads for blocking calls, started when needed
  weft::kernel* kernel = nullptr;    // null: the real one
  queue_options queue = {};
};

/// The cores that this process may use: its affinity mask, and the CPU quota of its control group
/// and those around it (cgroup version 2; a part of a core counts as one). At least 1.
unsigned available_cores() noexcept;

}  // namespace weft

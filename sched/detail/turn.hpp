// SPDX-License-Identifier: MIT
#pragma once
// What every worker does in a turn, on a loop or in a pool: deliver messages, expire timers, resume
// a bounded number of tasks, let the ring hand over and collect. What they differ in, finding more
// work and going to sleep, is event_loop.cpp's and pool_worker.cpp's.

#include "weft/runtime/worker.hpp"

namespace weft::detail {

/// Resumes between two looks at the ring, the messages and the timers.
inline constexpr unsigned resumes_per_turn = 64;
/// Forked children in a row before a woken task gets its turn.
inline constexpr unsigned forks_in_a_row = 16;

/// One message; what it does may take long.
void deliver(worker& w, message& m) noexcept;

/// The worker's own messages. Says whether there were any.
bool deliver_messages(worker& w) noexcept;

/// Looks at the clock, and expires the timers whose time has come, a bounded number of them.
void begin_turn(worker& w) noexcept;

/// Resumes up to `most` of the worker's own ready tasks, but no more when the turn has lasted long
/// enough; says how many.
unsigned run_ready(worker& w, unsigned most) noexcept;

/// Messages, timers, the ring; without sleeping. Says whether there were messages.
bool look_around(worker& w) noexcept;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A scope that stops itself when its time is up; with_timeout and shield are coroutines that open
// one. Its timer lies in the queue of the worker that armed it and may be disarmed on any. While it
// is armed it holds the scope: so disarming races with nothing, and where the timer has left the
// queue already, the join waits until it has stopped the scope.
//
// What came first, a stop from outside or the deadline, is decided once, in the scope's cause. A
// deadline around this one that comes first is the business of the scope that it belongs to.

#include "weft/runtime/scope_join.hpp"
#include "weft/runtime/worker_timers.hpp"

#include <chrono>
#include <cstdint>

namespace weft::detail {

/// How long something may take: a duration from the start on, or a point in time; with a shield
/// nothing else ends it.
struct time_limit {
  std::int64_t ns;
  bool relative;
  bool shield = false;
};

class deadline_scope : public joinable_scope, private worker_timer {
public:
  /// Opens it on `line`. Thread: that strand.
  deadline_scope(strand& line, time_limit limit) noexcept;

  /// Closes the scope for timers; join it next. Thread: the strand that opened it.
  void disarm() noexcept;

  bool timed_out() const noexcept { return cause() == stop_cause::deadline; }

private:
  worker_timers* timers_ = nullptr;  // null: not armed
};

}  // namespace weft::detail

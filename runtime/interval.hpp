// SPDX-License-Identifier: MIT
#pragma once
// interval: ticks on a fixed schedule, start + 1, 2, 3... periods, however long the work between
// them takes. Ticks that went by unawaited are skipped: one of them is given at once, and the next
// is the schedule's next point in time. So nothing drifts, and a task that was late is not pelted
// with all that it has missed.

#include "weft/runtime/operation.hpp"
#include "weft/runtime/sleep.hpp"

#include <chrono>
#include <cstdint>
#include <system_error>

namespace weft {

class interval;

namespace detail {

class interval_tick : public awaitable_operation<interval_tick, std::uint64_t>,
                      public worker_timer {
public:
  static constexpr const char* name = "interval::next";

  explicit interval_tick(interval& i) noexcept : interval_(&i) {}

  bool try_now(worker& w) noexcept;
  bool start(worker& w) noexcept;
  static bool withdraw(operation& op, worker& w) noexcept;
  result<std::uint64_t> finish() noexcept;

private:
  interval* interval_;
  worker_timers* timers_ = nullptr;
  std::uint64_t number_ = 0;  // of the tick, once it is due
  bool withdrawn_ = false;
};

}  // namespace detail

/// A schedule to wait for: `interval tick(10ms); for (;;) { co_await tick.next(); … }`
///
/// Thread:   one task at a time; the schedule is that of the scheduler it was first awaited on.
/// Cost:     a tick costs a clock read, a timer of the worker's own and another clock read, and
///           neither an allocation nor a system call of its own; one that is due does not suspend.
class interval {
public:
  /// Nothing starts before the first next(), which comes one period later.
  ///
  /// Shape:  `period` is positive; it is rounded up to whole nanoseconds.
  /// Errors: system_error(invalid_argument).
  template <class Rep, class Period>
  explicit interval(std::chrono::duration<Rep, Period> period) : period_ns_(detail::to_ns(period)) {
    if (period_ns_ <= 0)
      throw_error(std::make_error_code(std::errc::invalid_argument),
                  "interval: the period is not positive");
  }

  /// Waits for the next tick; never early.
  ///
  /// Returns:  the number of the tick, counted from 1 along the schedule: where it leaps, ticks
  ///           were skipped.
  /// Errors:   cancelled; the tick is still to come, or is given at once the next time.
  /// Lifetime: the interval outlives the co_await.
  [[nodiscard]] detail::interval_tick next() noexcept { return detail::interval_tick(*this); }

  /// Starts anew with the next call of next(): its first tick is one period later.
  void reset() noexcept {
    started_ = false;
    last_ = 0;
  }

private:
  friend detail::interval_tick;

  /// The number of the latest tick that is due at `now_ns`.
  std::uint64_t latest(std::int64_t now_ns) const noexcept {
    if (now_ns <= start_ns_) return 0;
    return static_cast<std::uint64_t>(now_ns - start_ns_) / static_cast<std::uint64_t>(period_ns_);
  }

  std::int64_t period_ns_;
  std::int64_t start_ns_ = 0;
  std::uint64_t last_ = 0;  // the tick that was given last
  bool started_ = false;
};

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// sleep_for and sleep_until: a timer of the worker's own queue; the kernel sees only the next
// deadline.

#include "weft/runtime/operation.hpp"

#include <chrono>
#include <cstdint>

namespace weft {

namespace detail {

class sleep_operation : public awaitable_operation<sleep_operation, void>, public worker_timer {
public:
  static constexpr const char* name = "sleep";

  /// `ns` is a duration, or a point in time of the scheduler's clock.
  sleep_operation(std::int64_t ns, bool relative) noexcept : ns_(ns), relative_(relative) {}

  bool try_now(worker&) noexcept { return false; }
  bool start(worker& w) noexcept;
  static bool withdraw(operation& op, worker& w) noexcept;
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return {};
  }

private:
  std::int64_t ns_;
  worker_timers* timers_ = nullptr;
  bool relative_;
  bool withdrawn_ = false;
};

/// Rounds up, so that nothing wakes early, and saturates.
template <class Rep, class Period>
std::int64_t to_ns(std::chrono::duration<Rep, Period> d) noexcept {
  using std::chrono::nanoseconds;
  using seconds = std::chrono::duration<long double>;
  constexpr std::int64_t most = INT64_MAX;
  if (!(d == d)) return 0;  // a floating-point duration that is no number
  if (std::chrono::duration_cast<seconds>(d).count() >= static_cast<long double>(most) / 1e9L)
    return most;
  if (std::chrono::duration_cast<seconds>(d).count() <= -static_cast<long double>(most) / 1e9L)
    return -most;
  return std::chrono::ceil<nanoseconds>(d).count();
}

}  // namespace detail

/// Suspends the task for at least `d`. Zero or less: until the next turn.
///
/// Errors: cancelled, as soon as the scope is stopped.
/// Thread: any worker.
/// Cost:   one clock read and one insertion into the worker's timers; no allocation per sleep, no
///         system call of its own.
template <class Rep, class Period>
[[nodiscard]] detail::sleep_operation sleep_for(std::chrono::duration<Rep, Period> d) noexcept {
  return {detail::to_ns(d), true};
}

/// Suspends the task until the clock has reached `t`, not earlier. A time point of another clock
/// than steady_clock is turned into a duration when this is called. The rest is as for sleep_for.
template <class Clock, class Duration>
[[nodiscard]] detail::sleep_operation
sleep_until(std::chrono::time_point<Clock, Duration> t) noexcept {
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    return {detail::to_ns(t.time_since_epoch()), false};
  } else {
    const auto now = Clock::now();
    return {t <= now ? 0 : detail::to_ns(t - now), true};
  }
}

}  // namespace weft

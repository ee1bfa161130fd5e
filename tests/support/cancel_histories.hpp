// SPDX-License-Identifier: MIT
#pragma once
// Cancel against completion, for one thing to wait for, in every order. The thing is a rig:
//   void start(task_group&)    before anything else (children that the rig needs)
//   task<bool> wait()          true when it was granted, false when cancelled
//   void grant()               grants it once
//   bool left_over()           whether a grant lies there that nobody has received
// and, where it is not like a semaphore,
//   task<> prepare()           is awaited first of all, under no scope that is stopped
//   bool needs_grant()         a grant that met nobody is none: it is tried again while this holds
//   static constexpr bool once         it can be waited for a single time
//   static constexpr bool by_kernel    a grant arrives later: a stop after it may still come first
//   static constexpr bool not_stopped  a wait that has begun is not ended by a stop

#include "weft/runtime/as_result.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <utility>

namespace weft::tests {

enum class order { stop_before, stop_while_waiting, grant_then_stop, stop_then_grant, stop_after };

template <class Rig>
concept grants_again = requires(Rig& r) { r.needs_grant(); };
template <class Rig>
concept waits_once = Rig::once;
template <class Rig>
concept granted_by_kernel = Rig::by_kernel;
template <class Rig>
concept not_stopped = Rig::not_stopped;

/// Awaits what gives no result by itself: false when it was cancelled.
template <class Awaitable>
task<bool> was_granted(Awaitable awaitable) {
  try {
    (void)co_await std::move(awaitable);
  } catch (const cancelled&) {
    co_return false;
  }
  co_return true;
}

inline task<> yield_a_little(int times) {
  for (int i = 0; i < times; ++i) {
    (void)co_await as_result(yield());
  }
}

struct outcome_of_wait {
  std::atomic<int> resumes = 0;
  std::atomic<bool> granted = false;
};

template <class Rig>
task<> wait_once(Rig& rig, outcome_of_wait& out) {
  const bool granted = co_await rig.wait();
  out.granted = granted;
  ++out.resumes;
}

template <class Rig>
task<> yield_until_resumed(Rig& rig, const outcome_of_wait& out) {
  while (out.resumes == 0) {
    if constexpr (grants_again<Rig>) {
      if (rig.needs_grant()) rig.grant();
    }
    co_await yield();
  }
}

template <class Rig>
task<> act_in_order(order o, Rig& rig, outcome_of_wait& out, task_group& g) {
  if (o == order::stop_before) g.cancel();
  g.spawn(wait_once<Rig>, std::ref(rig), std::ref(out));
  co_await yield_a_little(20);
  if (o == order::grant_then_stop) rig.grant();
  if (o == order::stop_after) {
    rig.grant();
    co_await yield_until_resumed(rig, out);
  }
  g.cancel();
  if (o == order::stop_then_grant) rig.grant();
  if constexpr (not_stopped<Rig>) {
    if (o == order::stop_while_waiting) rig.grant();
  }
}

/// After any history: what was granted and not received is there, and a new waiter gets through.
template <class Rig>
void check_nothing_lost(Rig& rig, const outcome_of_wait& out, bool granted) {
  CHECK(out.resumes == 1);
  const bool left = rig.left_over();
  if (granted) {
    CHECK(left != out.granted);
  } else {
    CHECK_FALSE(out.granted);
    CHECK_FALSE(left);
  }
}

/// The next waiter is served, whatever became of the one before.
template <class Rig>
task<> check_next_waiter(Rig& rig) {
  outcome_of_wait next;
  const bool left = rig.left_over();
  auto once_more = [&](task_group& second) -> task<> {
    second.spawn(wait_once<Rig>, std::ref(rig), std::ref(next));
    co_await yield_a_little(20);
    if (!left) rig.grant();
    co_await yield_until_resumed(rig, next);
    second.cancel();
  };
  co_await with_task_group(once_more);
  CHECK(next.granted);
}

template <class Rig>
task<> prepare(Rig& rig) {
  if constexpr (requires { rig.prepare(); }) {
    co_await rig.prepare();
  } else {
    co_return;
  }
}

template <class Rig>
task<> one_history(order o) {
  Rig rig;
  co_await prepare(rig);
  outcome_of_wait out;
  auto outer = [&](task_group& g) -> task<> {
    rig.start(g);
    auto inner = [&](task_group& waiting) -> task<> { return act_in_order(o, rig, out, waiting); };
    co_await with_task_group(inner);
    const bool while_waiting = o == order::stop_while_waiting && !not_stopped<Rig>;
    check_nothing_lost(rig, out, o != order::stop_before && !while_waiting);
    if (o == order::stop_after) CHECK(out.granted);
    // On a pool the waiter may have come after the stop.
    if (o == order::grant_then_stop && !detail::current_worker()->shared && !granted_by_kernel<Rig>)
      CHECK(out.granted);
    if constexpr (waits_once<Rig>) {
      rig.grant();
    } else {
      co_await check_next_waiter(rig);
    }
  };
  co_await with_task_group(outer);
}

/// A stop and a grant from two tasks at once, the one or the other a few steps ahead.
template <class Rig>
task<> one_race(int stop_delay, int grant_delay) {
  Rig rig;
  co_await prepare(rig);
  outcome_of_wait out;
  auto outer = [&](task_group& g) -> task<> {
    rig.start(g);
    auto inner = [&](task_group& waiting) -> task<> {
      waiting.spawn(wait_once<Rig>, std::ref(rig), std::ref(out));
      waiting.spawn(
          [](task_group& group, int delay) -> task<> {
            co_await yield_a_little(delay);
            group.cancel();
          },
          std::ref(waiting), stop_delay);
      waiting.spawn(
          [](Rig& r, int delay) -> task<> {
            co_await yield_a_little(delay);
            r.grant();
          },
          std::ref(rig), grant_delay);
      co_return;
    };
    co_await with_task_group(inner);
    if constexpr (grants_again<Rig>) {
      CHECK(out.resumes == 1);
    } else {
      check_nothing_lost(rig, out, true);
    }
  };
  co_await with_task_group(outer);
}

/// Races in which now the stop and now the grant is ahead.
template <class Rig>
task<> many_races(int count) {
  for (int i = 0; i < count; ++i) co_await one_race<Rig>(i % 4, i / 4 % 4);
}

/// Something that comes to its end by itself; its rig has only wait(). Stopped before it begins it
/// is refused; at any moment later it is resumed once; a stop after its end is too late.
template <class Rig>
task<> histories_of_what_ends(int races) {
  for (int delay = -2; delay < races; ++delay) {
    Rig rig;
    co_await prepare(rig);
    outcome_of_wait out;
    auto body = [&](task_group& g) -> task<> {
      if (delay == -2) g.cancel();
      g.spawn(wait_once<Rig>, std::ref(rig), std::ref(out));
      if (delay == -1)
        while (out.resumes == 0) co_await yield();
      else
        co_await yield_a_little(delay);
      g.cancel();
    };
    co_await with_task_group(body);
    CHECK(out.resumes == 1);
    if (delay == -2) CHECK_FALSE(out.granted);
    if (delay == -1) CHECK(out.granted);
  }
}

/// Something that would last for ever: a stop before and a stop meanwhile end it.
template <class Rig>
task<> histories_of_what_lasts() {
  for (const int delay : {-1, 0, 1, 20}) {
    Rig rig;
    co_await prepare(rig);
    outcome_of_wait out;
    auto body = [&](task_group& g) -> task<> {
      if (delay < 0) g.cancel();
      g.spawn(wait_once<Rig>, std::ref(rig), std::ref(out));
      co_await yield_a_little(delay);
      g.cancel();
    };
    co_await with_task_group(body);
    CHECK(out.resumes == 1);
    CHECK_FALSE(out.granted);
  }
}

}  // namespace weft::tests

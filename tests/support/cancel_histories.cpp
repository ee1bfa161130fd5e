// SPDX-License-Identifier: MIT
#include "support/cancel_histories.hpp"

#include "weft/runtime/as_result.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>

namespace weft::tests {

task<> yield_a_little(int times) {
  for (int i = 0; i < times; ++i) {
    (void)co_await as_result(yield());
  }
}

namespace {

struct outcome_of_wait {
  std::atomic<int> resumes = 0;
  std::atomic<bool> granted = false;
};

task<> wait_once(any_rig& rig, outcome_of_wait& out) {
  const bool granted = co_await rig.wait();
  out.granted = granted;
  ++out.resumes;
}

task<> yield_until_resumed(any_rig& rig, const outcome_of_wait& out) {
  while (out.resumes == 0) {
    if (rig.needs_grant()) rig.grant();
    co_await yield();
  }
}

task<> act_in_order(order o, any_rig& rig, outcome_of_wait& out, task_group& g) {
  if (o == order::stop_before) g.cancel();
  g.spawn(wait_once, std::ref(rig), std::ref(out));
  co_await yield_a_little(20);
  if (o == order::grant_then_stop) rig.grant();
  if (o == order::stop_after) {
    rig.grant();
    co_await yield_until_resumed(rig, out);
  }
  g.cancel();
  if (o == order::stop_then_grant) rig.grant();
  if (rig.not_stopped && o == order::stop_while_waiting) rig.grant();
}

/// After any history: what was granted and not received is there, and a new waiter gets through.
void check_nothing_lost(any_rig& rig, const outcome_of_wait& out, bool granted) {
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
task<> check_next_waiter(any_rig& rig) {
  outcome_of_wait next;
  const bool left = rig.left_over();
  auto once_more = [&](task_group& second) -> task<> {
    second.spawn(wait_once, std::ref(rig), std::ref(next));
    co_await yield_a_little(20);
    if (!left) rig.grant();
    co_await yield_until_resumed(rig, next);
    second.cancel();
  };
  co_await with_task_group(once_more);
  CHECK(next.granted);
}

/// A stop and a grant from two tasks at once, the one or the other a few steps ahead.
task<> one_race(make_rig make, int stop_delay, int grant_delay) {
  const std::unique_ptr<any_rig> made = make();
  any_rig& rig = *made;
  co_await rig.prepare();
  outcome_of_wait out;
  auto outer = [&](task_group& g) -> task<> {
    rig.start(g);
    auto inner = [&](task_group& waiting) -> task<> {
      waiting.spawn(wait_once, std::ref(rig), std::ref(out));
      waiting.spawn(
          [](task_group& group, int delay) -> task<> {
            co_await yield_a_little(delay);
            group.cancel();
          },
          std::ref(waiting), stop_delay);
      waiting.spawn(
          [](any_rig& r, int delay) -> task<> {
            co_await yield_a_little(delay);
            r.grant();
          },
          std::ref(rig), grant_delay);
      co_return;
    };
    co_await with_task_group(inner);
    if (rig.grants_again) {
      CHECK(out.resumes == 1);
    } else {
      check_nothing_lost(rig, out, true);
    }
  };
  co_await with_task_group(outer);
}

}  // namespace

task<> one_history(make_rig make, order o) {
  const std::unique_ptr<any_rig> made = make();
  any_rig& rig = *made;
  co_await rig.prepare();
  outcome_of_wait out;
  auto outer = [&](task_group& g) -> task<> {
    rig.start(g);
    auto inner = [&](task_group& waiting) -> task<> { return act_in_order(o, rig, out, waiting); };
    co_await with_task_group(inner);
    const bool while_waiting = o == order::stop_while_waiting && !rig.not_stopped;
    check_nothing_lost(rig, out, o != order::stop_before && !while_waiting);
    if (o == order::stop_after) CHECK(out.granted);
    // On a pool the waiter may have come after the stop.
    if (o == order::grant_then_stop && !detail::current_worker()->shared && !rig.by_kernel)
      CHECK(out.granted);
    if (rig.once) {
      rig.grant();
    } else {
      co_await check_next_waiter(rig);
    }
  };
  co_await with_task_group(outer);
}

task<> many_races(make_rig make, int count) {
  for (int i = 0; i < count; ++i) co_await one_race(make, i % 4, i / 4 % 4);
}

task<> histories_of_what_ends(make_rig make, int races) {
  for (int delay = -2; delay < races; ++delay) {
    const std::unique_ptr<any_rig> made = make();
    any_rig& rig = *made;
    co_await rig.prepare();
    outcome_of_wait out;
    auto body = [&](task_group& g) -> task<> {
      if (delay == -2) g.cancel();
      g.spawn(wait_once, std::ref(rig), std::ref(out));
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

task<> histories_of_what_lasts(make_rig make) {
  for (const int delay : {-1, 0, 1, 20}) {
    const std::unique_ptr<any_rig> made = make();
    any_rig& rig = *made;
    co_await rig.prepare();
    outcome_of_wait out;
    auto body = [&](task_group& g) -> task<> {
      if (delay < 0) g.cancel();
      g.spawn(wait_once, std::ref(rig), std::ref(out));
      co_await yield_a_little(delay);
      g.cancel();
    };
    co_await with_task_group(body);
    CHECK(out.resumes == 1);
    CHECK_FALSE(out.granted);
  }
}

}  // namespace weft::tests

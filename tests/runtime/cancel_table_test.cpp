// SPDX-License-Identifier: MIT
// The rest of the table that cancel_test.cpp begins: everything else in runtime/ and sched/ that a
// task can wait for, against a stop before it, meanwhile, in the turn of its end, and after it.
#include "support/both_schedulers.hpp"
#include "support/cancel_histories.hpp"
#include "weft/runtime/as_completed.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/barrier.hpp"
#include "weft/runtime/broadcast.hpp"
#include "weft/runtime/condition_variable.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/finally.hpp"
#include "weft/runtime/interval.hpp"
#include "weft/runtime/latch.hpp"
#include "weft/runtime/merge.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/oneshot.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/unbounded_channel.hpp"
#include "weft/runtime/watch.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace cancel_table_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::histories_of_what_ends;
using tests::histories_of_what_lasts;
using tests::many_races;
using tests::on_both;
using tests::one_history;
using tests::order;
using tests::was_granted;

namespace {

/// What is granted once and for all: taken by the waiters that have seen it.
struct lasting {
  void start(task_group&) {}
  bool left_over() const { return granted && !taken; }
  bool take(bool was) {
    if (was) taken = true;
    return was;
  }

  std::atomic<bool> granted = false;
  std::atomic<bool> taken = false;
};

struct latch_rig : lasting {
  task<bool> wait() {
    const result<void> r = co_await as_result(done.wait());
    co_return take(r.has_value());
  }
  void grant() {
    if (!granted.exchange(true)) done.count_down();
  }

  latch done{1};
};

/// A cancelled waiter takes its arrival back: the phase still waits for two, then for one.
struct barrier_rig : lasting {
  task<bool> wait() {
    const result<void> r = co_await as_result(both.arrive_and_wait());
    co_return take(r.has_value());
  }
  void grant() {
    if (!granted.exchange(true)) both.arrive_and_drop();
  }

  barrier both{2};
};

/// A notification that meets nobody is none. Whatever happens, the waiter has the mutex afterwards
/// and lets it go.
struct condition_rig : lasting {
  task<bool> wait() {
    result<mutex_lock> lock = co_await as_result(m.lock());
    if (!lock) co_return false;
    const result<void> r = co_await as_result(notified.wait(*lock));
    CHECK_FALSE(m.try_lock().has_value());
    co_return take(r.has_value());
  }
  void grant() {
    granted = true;
    notified.notify_one();
  }
  bool needs_grant() const { return true; }  // a notification too many is none

  mutex m;
  condition_variable notified;
};

struct unbounded_rig {
  void start(task_group&) {}
  task<bool> wait() {
    const result<std::optional<int>> r = co_await as_result(ends.receiver.receive());
    co_return r.has_value();
  }
  void grant() { CHECK(ends.sender.send(1)); }
  bool left_over() {
    const bool left = ends.receiver.try_receive().has_value();
    if (left) grant();
    return left;
  }

  unbounded_channel_ends<int> ends = unbounded_channel<int>();
};

struct oneshot_rig : lasting {
  static constexpr bool once = true;

  task<bool> wait() {
    const result<std::optional<std::string>> r = co_await as_result(ends.receiver.receive());
    if (r) CHECK(*r == "the only value, which lies on the heap");
    co_return take(r.has_value());
  }
  void grant() {
    if (!granted.exchange(true))
      CHECK(ends.sender.send(std::string("the only value, which lies on the heap")));
  }

  oneshot_ends<std::string> ends = oneshot<std::string>();
};

struct watch_rig {
  void start(task_group&) {}
  task<bool> wait() {
    const result<bool> r = co_await as_result(ends.receiver.changed());
    if (r) seen = *ends.receiver.get();
    co_return r.has_value();
  }
  void grant() { ends.sender.send(++sent); }
  bool left_over() const { return sent != seen; }

  watch_ends<int> ends = watch(0);
  int sent = 0;
  int seen = 0;
};

struct broadcast_receive_rig {
  void start(task_group&) {}
  task<bool> wait() {
    const result<std::optional<int>> r = co_await as_result(ends.receiver.receive());
    co_return r.has_value();
  }
  void grant() { CHECK(ends.sender.try_send(1)); }
  bool left_over() {
    const bool left = ends.receiver.try_receive().has_value();
    if (left) grant();
    return left;
  }

  broadcast_ends<int> ends = broadcast<int>(1);
};

/// The grant is the room that the only receiver makes.
struct broadcast_send_rig {
  broadcast_send_rig() { CHECK(ends.sender.try_send("first")); }
  void start(task_group&) {}
  task<bool> wait() {
    std::string value = "a value that must not get lost on its way";
    const result<void> r = co_await as_result(ends.sender.send(std::move(value)));
    if (!r) CHECK(value == "a value that must not get lost on its way");
    co_return r.has_value();
  }
  void grant() { CHECK(ends.receiver.try_receive().has_value()); }
  bool left_over() {
    if (!ends.sender.try_send("probe")) return false;
    grant();
    return true;
  }

  broadcast_ends<std::string> ends = broadcast<std::string>(1);
};

/// The children of a group that is joined, each of a combinator, the body of a generator: all wait
/// for the same event, in the middle of what the rig awaits.
struct through : lasting {
  void grant() {
    granted = true;
    gate.set();
  }
  task<> inside() { co_await gate.wait(); }

  event gate;
};

struct group_rig : through {
  task<bool> wait() {
    auto body = [this](task_group& g) -> task<> {
      g.spawn([this] { return inside(); });
      g.spawn([this] { return inside(); });
      co_return;
    };
    const bool was = co_await was_granted(with_task_group(body));
    co_return take(was);
  }
};

struct start_rig : through {
  task<bool> wait() {
    auto body = [this](task_group& g) -> task<> {
      co_await g.start([this](task_status<>& status) -> task<> {
        co_await inside();
        status.started();
      });
    };
    const bool was = co_await was_granted(with_task_group(body));
    co_return take(was);
  }
};

struct limited_rig : through {
  task<bool> wait() {
    const result<void> r = co_await as_result(with_timeout(1h, gate.wait()));
    co_return take(r.has_value());
  }
};

struct limited_task_rig : through {
  task<bool> wait() {
    const bool was = co_await was_granted(with_timeout(1h, inside()));
    co_return take(was);
  }
};

struct when_any_rig : through {
  task<bool> wait() {
    const bool was = co_await was_granted(when_any(sleep_for(1h), gate.wait(), inside()));
    co_return take(was);
  }
};

struct when_all_rig : through {
  task<bool> wait() {
    const bool was = co_await was_granted(when_all(inside(), yield_once(), gate.wait()));
    co_return take(was);
  }
  static task<> yield_once() { co_await yield(); }
};

struct finally_rig : through {
  task<bool> wait() {
    const int before = cleaned;
    auto clean = [this]() -> task<> {
      co_await yield();
      ++cleaned;
    };
    const bool was = co_await was_granted(finally(inside(), clean, 1h));
    CHECK(cleaned == before + 1);
    co_return take(was);
  }

  int cleaned = 0;
};

async_generator<int> when_set(event& gate) {
  for (;;) {
    co_await gate.wait();
    co_yield 1;
  }
}

struct generator_rig : through {
  task<bool> wait() {
    async_generator<int> values = when_set(gate);
    const bool was = co_await was_granted(values.next());
    co_return take(was);
  }
};

struct merge_rig : through {
  task<bool> wait() {
    async_generator<int> values = merge(when_set(gate), when_set(gate));
    const bool was = co_await was_granted(values.next());
    co_await values.close();
    co_return take(was);
  }
};

struct as_completed_rig : through {
  task<bool> wait() {
    auto values = as_completed(gate.wait(), inside(), sleep_for(1h));
    const bool was = co_await was_granted(values.next());
    co_await values.close();
    co_return take(was);
  }
};

/// The task goes to another scheduler and waits there.
struct on_rig : through {
  task<bool> wait() {
    const bool was = co_await was_granted(on(there, inside()));
    co_return take(was);
  }
  static constexpr bool by_kernel = true;  // the way there and back takes its time

  thread_pool there{{.workers = 1}};
};

struct yield_rig {
  task<bool> wait() {
    const result<void> r = co_await as_result(yield());
    co_return r.has_value();
  }
};

struct short_sleep_rig {
  task<bool> wait() {
    const result<void> r = co_await as_result(sleep_for(5us));
    co_return r.has_value();
  }
};

struct past_rig {
  task<bool> wait() {
    const result<void> r = co_await as_result(sleep_until(std::chrono::steady_clock::time_point()));
    co_return r.has_value();
  }
};

struct tick_rig {
  task<bool> wait() {
    const auto r = co_await as_result(ticks.next());
    co_return r.has_value();
  }

  interval ticks{5us};
};

/// The deadline is one of the two that race with the stop.
struct deadline_rig {
  task<bool> wait() {
    const result<void> r = co_await as_result(with_timeout(5us, sleep_for(1h)));
    if (!r && r.error() == std::errc::timed_out) co_return true;
    CHECK_FALSE(r.has_value());
    co_return false;
  }
};

struct long_sleep_rig {
  task<bool> wait() {
    const result<void> r = co_await as_result(sleep_for(1h));
    co_return r.has_value();
  }
};

struct long_tick_rig {
  task<bool> wait() {
    (void)co_await as_result(ticks.next());  // the first one comes at once
    const auto r = co_await as_result(ticks.next());
    co_return r.has_value();
  }

  interval ticks{1h};
};

}  // namespace

#define WAITS_FOR                                                                          \
  latch_rig, barrier_rig, condition_rig, unbounded_rig, oneshot_rig, watch_rig,            \
      broadcast_receive_rig, broadcast_send_rig, group_rig, start_rig, limited_rig,        \
      limited_task_rig, when_any_rig, when_all_rig, finally_rig, generator_rig, merge_rig, \
      as_completed_rig, on_rig

TEST_SUITE("runtime/cancel_table") {
  TEST_CASE_TEMPLATE("a stop and a grant, in every order", Rig, WAITS_FOR) {
    for (const order o : {order::stop_before, order::stop_while_waiting, order::grant_then_stop,
                          order::stop_then_grant, order::stop_after}) {
      CAPTURE(o);
      on_both([o](const run_options& options) { run(options, one_history<Rig>(o)); });
    }
  }

  TEST_CASE_TEMPLATE("a stop that races with a grant resumes once and loses nothing", Rig,
                     WAITS_FOR) {
    on_both([](const run_options& options) { run(options, many_races<Rig>(100)); });
  }

  TEST_CASE_TEMPLATE("a stop before, during and after what ends by itself", Rig, yield_rig,
                     short_sleep_rig, past_rig, tick_rig, deadline_rig) {
    on_both([](const run_options& options) { run(options, histories_of_what_ends<Rig>(50)); });
  }

  TEST_CASE_TEMPLATE("a stop before and during what would last for ever", Rig, long_sleep_rig,
                     long_tick_rig) {
    on_both([](const run_options& options) { run(options, histories_of_what_lasts<Rig>()); });
  }
}

#undef WAITS_FOR

}  // namespace cancel_table_test

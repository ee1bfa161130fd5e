// SPDX-License-Identifier: MIT
// Cancel against completion, for everything that a task can wait for here, in every order. What is
// granted once is received once: by the waiter, or, when that was cancelled, by whoever comes next.
#include "support/both_schedulers.hpp"
#include "support/cancel_histories.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/auto_reset_event.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/shared_mutex.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace cancel_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::many_races;
using tests::on_both;
using tests::one_history;
using tests::order;
using tests::yield_a_little;

namespace {

struct event_rig {
  void start(task_group&) {}
  task<bool> wait() {
    const result<void> r = co_await as_result(gate.wait());
    if (r) gate.reset();
    co_return r.has_value();
  }
  void grant() { gate.set(); }
  bool left_over() const { return gate.is_set(); }

  event gate;
};

struct auto_reset_event_rig {
  void start(task_group&) {}
  task<bool> wait() {
    const result<void> r = co_await as_result(signal.wait());
    co_return r.has_value();
  }
  void grant() { signal.set(); }
  bool left_over() const { return signal.is_set(); }

  auto_reset_event signal;
};

struct semaphore_rig {
  void start(task_group&) {}
  task<bool> wait() {
    result<semaphore_permit> r = co_await as_result(permits.acquire());
    if (!r) co_return false;
    kept.push_back(std::move(*r));
    co_return true;
  }
  void grant() { permits.release(); }
  bool left_over() const { return permits.available() != 0; }

  semaphore permits{0};
  std::vector<semaphore_permit> kept;
};

struct mutex_rig {
  mutex_rig() : holder(m.try_lock()) {}
  void start(task_group&) {}
  task<bool> wait() {
    result<mutex_lock> r = co_await as_result(m.lock());
    if (!r) co_return false;
    holder.emplace(std::move(*r));
    co_return true;
  }
  void grant() {
    std::optional<mutex_lock> lock = std::move(holder);
    lock->unlock();
  }
  bool left_over() { return m.try_lock().has_value(); }

  mutex m;
  std::optional<mutex_lock> holder;
};

/// The grant is the release by whoever has the lock, alone at first.
struct write_rig {
  write_rig() : holder(m.try_lock()) {}
  void start(task_group&) {}
  task<bool> wait() {
    result<exclusive_lock> r = co_await as_result(m.lock());
    if (!r) co_return false;
    holder.emplace(std::move(*r));
    co_return true;
  }
  void grant() {
    std::optional<exclusive_lock> lock = std::move(holder);
    lock->unlock();
  }
  bool left_over() { return m.try_lock().has_value(); }

  shared_mutex m;
  std::optional<exclusive_lock> holder;
};

struct read_rig {
  read_rig() : holder(m.try_lock()) {}
  void start(task_group&) {}
  task<bool> wait() {
    result<shared_lock> r = co_await as_result(m.lock_shared());
    if (!r) co_return false;
    const std::lock_guard guard(both);
    reader.emplace(std::move(*r));
    co_return true;
  }
  void grant() {
    std::optional<exclusive_lock> writing = std::move(holder);
    std::optional<shared_lock> reading;
    {
      // While one reader has the lock the next one gets it at once.
      const std::lock_guard guard(both);
      reading = std::move(reader);
    }
    if (writing) writing->unlock();
    if (reading) reading->unlock();
  }
  bool left_over() { return m.try_lock().has_value(); }

  shared_mutex m;
  std::optional<exclusive_lock> holder;
  std::mutex both;
  std::optional<shared_lock> reader;
};

struct receive_rig {
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

  channel_ends<int> ends = channel<int>(1);
};

/// The grant is the room that a receiver makes; it is left over while the channel isn't full.
struct send_rig {
  send_rig() { CHECK(ends.sender.try_send("first")); }
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

  channel_ends<std::string> ends = channel<std::string>(1);
};

struct rendezvous_rig {
  void start(task_group&) {}
  task<bool> wait() {
    std::string value = "a value that must not get lost on its way";
    const result<void> r = co_await as_result(ends.sender.send(std::move(value)));
    if (!r) CHECK(value == "a value that must not get lost on its way");
    co_return r.has_value();
  }
  /// A receiver takes the value of a sender who waits; without one there is nothing to grant yet.
  void grant() { open = !ends.receiver.try_receive().has_value(); }
  bool needs_grant() const { return open; }
  bool left_over() const { return open; }

  channel_ends<std::string> ends = channel<std::string>(0);
  bool open = false;
};

struct join_rig {
  static constexpr bool once = true;

  void start(task_group& g) {
    handle.emplace(g.spawn(
        [](event& e) -> task<int> {
          co_await e.wait();
          co_return 1;
        },
        std::ref(gate)));
  }
  task<bool> wait() {
    const result<int> r = co_await as_result(*handle);
    if (r) taken = true;
    co_return r.has_value();
  }
  void grant() { gate.set(); }
  bool left_over() const { return gate.is_set() && !taken; }

  event gate;
  std::optional<join_handle<int>> handle;
  bool taken = false;
};

}  // namespace

#define WAITS_FOR                                                                              \
  event_rig, auto_reset_event_rig, semaphore_rig, mutex_rig, write_rig, read_rig, receive_rig, \
      send_rig, join_rig

TEST_SUITE("runtime/cancel") {
  TEST_CASE_TEMPLATE("a wait under a stopped scope is refused and takes nothing", Rig, WAITS_FOR,
                     rendezvous_rig) {
    on_both([](const run_options& options) { run(options, one_history<Rig>(order::stop_before)); });
  }

  TEST_CASE_TEMPLATE("a stop ends a wait, and the next grant goes to the next waiter", Rig,
                     WAITS_FOR) {
    on_both([](const run_options& options) {
      run(options, one_history<Rig>(order::stop_while_waiting));
    });
  }

  TEST_CASE_TEMPLATE("what was granted before a stop is delivered", Rig, WAITS_FOR,
                     rendezvous_rig) {
    on_both(
        [](const run_options& options) { run(options, one_history<Rig>(order::grant_then_stop)); });
  }

  TEST_CASE_TEMPLATE("a grant in the turn of the stop is delivered, or left for the next", Rig,
                     WAITS_FOR) {
    on_both(
        [](const run_options& options) { run(options, one_history<Rig>(order::stop_then_grant)); });
  }

  TEST_CASE_TEMPLATE("a stop after the grant was received changes nothing", Rig, WAITS_FOR,
                     rendezvous_rig) {
    on_both([](const run_options& options) { run(options, one_history<Rig>(order::stop_after)); });
  }

  TEST_CASE_TEMPLATE("a stop that races with a grant loses nothing and resumes once", Rig,
                     WAITS_FOR, rendezvous_rig) {
    on_both([](const run_options& options) { run(options, many_races<Rig>(300)); });
  }

  TEST_CASE("a sleep is cancelled before it begins and while it lasts") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int refused = 0;
        auto stopped_before = [&refused](task_group& g) -> task<> {
          g.cancel();
          const result<void> r = co_await as_result(sleep_for(1h));
          if (!r) ++refused;
        };
        co_await with_task_group(stopped_before);
        auto stopped_meanwhile = [&refused](task_group& g) -> task<> {
          g.spawn(
              [](task_group& group) -> task<> {
                co_await yield_a_little(20);
                group.cancel();
              },
              std::ref(g));
          const result<void> r = co_await as_result(sleep_for(1h));
          if (!r) ++refused;
        };
        co_await with_task_group(stopped_meanwhile);
        CHECK(refused == 2);
      }());
    });
  }

  TEST_CASE("a stop that races with the end of a sleep resumes each sleeper once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 50; ++round) {
          std::atomic<int> resumes = 0;
          auto body = [&](task_group& g) -> task<> {
            for (int i = 0; i < 20; ++i) {
              g.spawn(
                  [](std::atomic<int>& n, int us) -> task<> {
                    (void)co_await as_result(sleep_for(std::chrono::microseconds(us)));
                    ++n;
                  },
                  std::ref(resumes), i * 20);
            }
            co_await sleep_for(200us);
            g.cancel();
          };
          co_await with_task_group(body);
          CHECK(resumes == 20);
        }
      }());
    });
  }

  TEST_CASE(
      "a task that has yielded runs on in spite of a stop, and is refused at its next await") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool went_on = false;
        bool refused = false;
        auto body = [&](task_group& g) -> task<> {
          g.spawn(
              [](task_group& group, bool& on, bool& no) -> task<> {
                group.cancel();
                const result<void> r = co_await as_result(yield());
                no = !r;
                on = true;
              },
              std::ref(g), std::ref(went_on), std::ref(refused));
          co_return;
        };
        co_await with_task_group(body);
        CHECK(went_on);
        CHECK(refused);
      }());
    });
  }

  TEST_CASE("cancelled waiters in the middle of a queue leave the order of the others") {
    std::vector<int> order_of_grants;
    run([](std::vector<int>& out) -> task<> {
      semaphore permits(0);
      auto waiter = [](semaphore& s, std::vector<int>& o, int me) -> task<> {
        const result<semaphore_permit> r = co_await as_result(s.acquire());
        if (r) o.push_back(me);
      };
      auto outer = [&](task_group& g) -> task<> {
        g.spawn(waiter, std::ref(permits), std::ref(out), 0);
        auto inner = [&](task_group& odd) -> task<> {
          co_await yield();
          odd.spawn(waiter, std::ref(permits), std::ref(out), 1);
          co_await yield();
          g.spawn(waiter, std::ref(permits), std::ref(out), 2);
          co_await yield();
          odd.spawn(waiter, std::ref(permits), std::ref(out), 3);
          co_await yield();
          odd.cancel();
        };
        co_await with_task_group(inner);
        permits.release();
      };
      co_await with_task_group(outer);
      CHECK(permits.available() == 1);
    }(order_of_grants));
    CHECK(order_of_grants == std::vector<int>{0, 2});
  }
}

#undef WAITS_FOR

}  // namespace cancel_test

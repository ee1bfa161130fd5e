// SPDX-License-Identifier: MIT
#include "weft/runtime/condition_variable.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace condition_variable_test {

using namespace weft;
using tests::on_both;

namespace {

/// What tests wait for: a number of things, under a mutex.
struct store {
  mutex m;
  condition_variable changed;
  int things = 0;

  task<> put(int n) {
    const mutex_lock lock = co_await m.lock();
    things += n;
    for (int i = 0; i < n; ++i) changed.notify_one();
  }
  task<> take() {
    mutex_lock lock = co_await m.lock();
    auto there = [this] { return things > 0; };
    co_await changed.wait(lock, there);
    --things;
  }
};

task<> wait_and_note(store& s, std::vector<int>& order, std::size_t& waiting, int me) {
  mutex_lock lock = co_await s.m.lock();
  ++waiting;
  co_await s.changed.wait(lock);
  CHECK_FALSE(s.m.try_lock().has_value());
  order.push_back(me);
  co_await yield();
}

/// Until `n` tasks wait: each has counted itself under the mutex, which it gave back by waiting.
task<> until_waiting(store& s, const std::size_t& waiting, std::size_t n) {
  for (;;) {
    mutex_lock lock = co_await s.m.lock();
    if (waiting == n) co_return;
    lock.unlock();
    co_await yield();
  }
}

}  // namespace

TEST_SUITE("runtime/condition_variable") {
  TEST_CASE("notify_one wakes the task that has waited longest, and it holds the mutex") {
    on_both([](const run_options& options) {
      std::vector<int> order;
      run(options, [](std::vector<int>& out) -> task<> {
        store s;
        std::size_t waiting = 0;
        auto body = [&](task_group& g) -> task<> {
          for (int i = 0; i < 3; ++i) {
            g.spawn(wait_and_note, std::ref(s), std::ref(out), std::ref(waiting), i);
            co_await until_waiting(s, waiting, static_cast<std::size_t>(i) + 1);
          }
          for (int i = 0; i < 3; ++i) s.changed.notify_one();
          s.changed.notify_one();  // nobody is there: it has no effect
        };
        co_await with_task_group(body);
        CHECK(s.m.try_lock().has_value());
      }(order));
      CHECK(order == std::vector<int>{0, 1, 2});
    });
  }

  TEST_CASE("notify_all wakes all, one after the other in the order of coming") {
    on_both([](const run_options& options) {
      std::vector<int> order;
      run(options, [](std::vector<int>& out) -> task<> {
        store s;
        std::size_t waiting = 0;
        auto body = [&](task_group& g) -> task<> {
          for (int i = 0; i < 5; ++i) {
            g.spawn(wait_and_note, std::ref(s), std::ref(out), std::ref(waiting), i);
            co_await until_waiting(s, waiting, static_cast<std::size_t>(i) + 1);
          }
          s.changed.notify_all();
        };
        co_await with_task_group(body);
      }(order));
      CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    });
  }

  TEST_CASE("what is put is taken, once, by many on both sides") {
    const auto body = [](const run_options& options) {
      run(options, []() -> task<> {
        store s;
        std::atomic<int> taken = 0;
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(8, [&]() -> task<> {
            for (int i = 0; i < 100; ++i) {
              co_await s.take();
              ++taken;
            }
          });
          g.spawn_n(4, [&]() -> task<> {
            for (int i = 0; i < 50; ++i) {
              co_await s.put(4);
              if (i % 8 == 0) co_await yield();
            }
          });
          co_return;
        };
        co_await with_task_group(all);
        CHECK(taken == 800);
        CHECK(s.things == 0);
      }());
    };
    on_both(body);
    body({.workers = 4});
  }

  TEST_CASE("a predicate that holds does not wait") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        store s;
        s.things = 1;
        co_await s.take();
        CHECK(s.things == 0);
      }());
    });
  }

  TEST_CASE("a cancelled wait holds the mutex again, however long it has to wait for it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        store s;
        std::atomic<bool> waits = false;
        std::atomic<bool> resumed = false;
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            mutex_lock lock = co_await s.m.lock();
            waits = true;
            const result<void> r = co_await as_result(s.changed.wait(lock));
            CHECK_FALSE(r);
            CHECK_FALSE(s.m.try_lock().has_value());
            resumed = true;
          });
          while (!waits) co_await yield();
          mutex_lock lock = co_await s.m.lock();
          g.cancel();
          for (int i = 0; i < 20; ++i) (void)co_await as_result(yield());
          CHECK_FALSE(resumed);
        };
        co_await with_task_group(body);
        CHECK(resumed);
        CHECK(s.m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a wait under a stopped scope is refused and keeps the mutex all along") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        store s;
        auto body = [&](task_group& g) -> task<> {
          mutex_lock lock = co_await s.m.lock();
          g.cancel();
          const result<void> r = co_await as_result(s.changed.wait(lock));
          CHECK(r.error() == cancelled_code());
          CHECK_FALSE(s.m.try_lock().has_value());
          bool thrown = false;
          try {
            co_await s.changed.wait(lock, [] { return false; });
          } catch (const cancelled&) {
            thrown = true;
          }
          CHECK(thrown);
          CHECK_FALSE(s.m.try_lock().has_value());
        };
        co_await with_task_group(body);
        CHECK(s.m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("two stops of a wait count once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        store s;
        std::atomic<bool> waits = false;
        std::atomic<int> refused = 0;
        auto outer = [&](task_group& o) -> task<> {
          auto inner = [&](task_group& i) -> task<> {
            i.spawn([&]() -> task<> {
              mutex_lock lock = co_await s.m.lock();
              waits = true;
              const result<void> r = co_await as_result(s.changed.wait(lock));
              if (!r) ++refused;
            });
            while (!waits) co_await yield();
            const mutex_lock lock = co_await s.m.lock();
            i.cancel();
            for (int n = 0; n < 5; ++n) (void)co_await as_result(yield());
            o.cancel();
            for (int n = 0; n < 5; ++n) (void)co_await as_result(yield());
          };
          co_await with_task_group(inner);
        };
        co_await with_task_group(outer);
        CHECK(refused == 1);
        CHECK(s.m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a notification that races with a stop ends this wait or the next one's") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          store s;
          std::atomic<int> woken = 0;
          std::atomic<int> cancelled_ones = 0;
          std::size_t waiting = 0;
          auto wait = [&]() -> task<> {
            mutex_lock lock = co_await s.m.lock();
            ++waiting;
            const result<void> r = co_await as_result(s.changed.wait(lock));
            ++(r ? woken : cancelled_ones);
          };
          auto body = [&](task_group& g) -> task<> {
            auto inner = [&](task_group& i) -> task<> {
              i.spawn(wait);
              co_await until_waiting(s, waiting, 1);
              g.spawn(wait);
              co_await until_waiting(s, waiting, 2);
              g.spawn([&s]() -> task<> {
                s.changed.notify_one();
                co_return;
              });
              for (int n = 0; n < round % 3; ++n) co_await yield();
              i.cancel();
            };
            co_await with_task_group(inner);
            // Either the first was notified and the second still waits, or the other way round.
            s.changed.notify_one();
          };
          co_await with_task_group(body);
          CHECK(woken + cancelled_ones == 2);
          CHECK(woken >= 1);
          CHECK(s.m.try_lock().has_value());
        }
      }());
    });
  }

  TEST_CASE("a plain thread notifies") {
    on_both([](const run_options& options) {
      store s;
      std::atomic<bool> done = false;
      std::thread notifier([&] {
        while (!done) {
          s.changed.notify_all();
          std::this_thread::yield();
        }
      });
      run(options, tests::from_outside([](store& x) -> task<> {
            for (int i = 0; i < 100; ++i) {
              mutex_lock lock = co_await x.m.lock();
              co_await x.changed.wait(lock);
            }
          }(s)));
      done = true;
      notifier.join();
    });
  }

  TEST_CASE("a loop and a pool wait for each other") {
    store here;
    store there;
    const auto play = [](store& mine, store& theirs) -> task<> {
      for (int i = 0; i < 300; ++i) {
        co_await theirs.put(1);
        co_await mine.take();
      }
    };
    std::thread other([&] { run({.workers = 2}, tests::from_outside(play(there, here))); });
    run(tests::from_outside(play(here, there)));
    other.join();
    CHECK(here.things == 0);
    CHECK(there.things == 0);
  }

  TEST_CASE("waiting with a lock that was given back ends the program with a message") {
    const std::string said = tests::dying_words([] {
      mutex m;
      condition_variable c;
      std::optional<mutex_lock> lock = m.try_lock();
      lock->unlock();
      (void)c.wait(*lock);
    });
    CHECK(said.find("with a lock that was unlocked or moved from") != std::string::npos);
  }

  TEST_CASE("destroying a condition_variable that a task waits for ends the program") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        mutex m;
        auto c = std::make_unique<condition_variable>();
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            mutex_lock lock = co_await m.lock();
            co_await c->wait(lock);
          });
          co_await yield();
          c.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("a condition_variable was destroyed while tasks wait") != std::string::npos);
  }
}

}  // namespace condition_variable_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/event.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace event_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("runtime/event") {
  TEST_CASE("setting an event lets all who wait and all who come through") {
    on_both([](const run_options& options) {
      std::atomic<int> through = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        event gate;
        auto body = [&](task_group& g) -> task<> {
          g.spawn_n(100, [&]() -> task<> {
            co_await gate.wait();
            ++n;
          });
          for (int i = 0; i < 10; ++i) {
            co_await yield();
          }
          CHECK(n == 0);
          CHECK_FALSE(gate.is_set());
          gate.set();
          gate.set();
          CHECK(gate.is_set());
          co_await gate.wait();
        };
        co_await with_task_group(body);
      }(through));
      CHECK(through == 100);
    });
  }

  TEST_CASE("a reset event makes those who come wait again") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event gate;
        gate.set();
        co_await gate.wait();
        gate.reset();
        CHECK_FALSE(gate.is_set());
        auto body = [&gate](task_group& g) -> task<> {
          g.spawn(
              [](event& e) -> task<> {
                co_await yield();
                e.set();
              },
              std::ref(gate));
          co_await gate.wait();
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("those who wait go on in the order of their coming") {
    std::vector<int> order;
    run([](std::vector<int>& out) -> task<> {
      event gate;
      auto body = [&](task_group& g) -> task<> {
        for (int i = 0; i < 5; ++i) {
          g.spawn(
              [](event& e, std::vector<int>& o, int me) -> task<> {
                co_await e.wait();
                o.push_back(me);
              },
              std::ref(gate), std::ref(out), i);
        }
        co_await yield();
        gate.set();
      };
      co_await with_task_group(body);
    }(order));
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  }

  TEST_CASE("a plain thread wakes a task by an event") {
    on_both([](const run_options& options) {
      for (int round = 0; round < 50; ++round) {
        event gate;
        std::thread setter([&gate] { gate.set(); });
        run(options, tests::from_outside([](event& e) -> task<> { co_await e.wait(); }(gate)));
        setter.join();
      }
    });
  }

  TEST_CASE("a loop and a pool hand a turn to and fro by two events") {
    constexpr int rounds = 500;
    event ping;
    event pong;
    std::thread other([&] {
      run({.workers = 2}, tests::from_outside([](event& mine, event& theirs) -> task<> {
            for (int i = 0; i < rounds; ++i) {
              co_await mine.wait();
              mine.reset();
              theirs.set();
            }
          }(ping, pong)));
    });
    int turns = 0;
    run(tests::from_outside([](event& mine, event& theirs, int& n) -> task<> {
      for (int i = 0; i < rounds; ++i) {
        theirs.set();
        co_await mine.wait();
        mine.reset();
        ++n;
      }
    }(pong, ping, turns)));
    other.join();
    CHECK(turns == rounds);
  }

  TEST_CASE("destroying an event that a task waits for ends the program with a message") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto gate = std::make_unique<event>();
        auto body = [&gate](task_group& g) -> task<> {
          g.spawn([](event& e) -> task<> { co_await e.wait(); }, std::ref(*gate));
          co_await yield();
          gate.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("an event was destroyed while tasks wait for it") != std::string::npos);
  }
}

}  // namespace event_test

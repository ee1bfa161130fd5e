// SPDX-License-Identifier: MIT
#include "weft/runtime/latch.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

namespace latch_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("runtime/latch") {
  TEST_CASE("those who wait go on when the last one has arrived, not before") {
    on_both([](const run_options& options) {
      std::atomic<int> through = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        latch start(3);
        auto body = [&](task_group& g) -> task<> {
          g.spawn_n(10, [&]() -> task<> {
            co_await start.wait();
            ++n;
          });
          start.count_down(2);
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK(n == 0);
          CHECK_FALSE(start.try_wait());
          start.count_down();
          CHECK(start.try_wait());
          co_await start.wait();
        };
        co_await with_task_group(body);
      }(through));
      CHECK(through == 10);
    });
  }

  TEST_CASE("tasks that arrive and wait go on together") {
    const auto body = [](const run_options& options) {
      std::atomic<int> arrived = 0;
      std::atomic<int> early = 0;
      run(options, [](std::atomic<int>& n, std::atomic<int>& bad) -> task<> {
        latch all_there(50);
        auto spawn_all = [&](task_group& g) -> task<> {
          g.spawn_n(50, [&]() -> task<> {
            ++n;
            co_await all_there.arrive_and_wait();
            if (n != 50) ++bad;
          });
          co_return;
        };
        co_await with_task_group(spawn_all);
      }(arrived, early));
      CHECK(arrived == 50);
      CHECK(early == 0);
    };
    on_both(body);
    body({.workers = 4});
  }

  TEST_CASE("a latch of zero is open") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        latch open(0);
        CHECK(open.try_wait());
        co_await open.wait();
      }());
    });
  }

  TEST_CASE("a cancelled task takes its arrivals back") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        latch l(3);
        std::atomic<bool> granted = true;
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            const result<void> r = co_await as_result(l.arrive_and_wait(2));
            granted = r.has_value();
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK_FALSE(granted);
        l.count_down(2);
        CHECK_FALSE(l.try_wait());
        l.count_down();
        CHECK(l.try_wait());
      }());
    });
  }

  TEST_CASE("plain threads count down what a task waits for") {
    on_both([](const run_options& options) {
      for (int round = 0; round < 50; ++round) {
        latch l(2);
        std::thread one([&l] { l.count_down(); });
        std::thread two([&l] { l.count_down(); });
        run(options, tests::from_outside([](latch& x) -> task<> { co_await x.wait(); }(l)));
        one.join();
        two.join();
        CHECK(l.try_wait());
      }
    });
  }

  TEST_CASE("more arrivals than were expected end the program with a message") {
    const std::string said = tests::dying_words([] {
      latch l(1);
      l.count_down(2);
    });
    CHECK(said.find("a latch was counted down below zero") != std::string::npos);
  }

  TEST_CASE("destroying a latch that a task waits for ends the program with a message") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto l = std::make_unique<latch>(1u);
        auto body = [&l](task_group& g) -> task<> {
          g.spawn([](latch& x) -> task<> { co_await x.wait(); }, std::ref(*l));
          co_await yield();
          l.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("a latch was destroyed while tasks wait for it") != std::string::npos);
  }
}

}  // namespace latch_test

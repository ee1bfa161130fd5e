// SPDX-License-Identifier: MIT
#include "weft/runtime/barrier.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>

namespace barrier_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("runtime/barrier") {
  TEST_CASE("nobody begins a phase before all have ended the one before") {
    const auto body = [](const run_options& options) {
      constexpr int tasks = 6;
      constexpr int phases = 200;
      std::atomic<int> arrivals = 0;
      std::atomic<int> ahead = 0;
      run(options, [](std::atomic<int>& n, std::atomic<int>& bad) -> task<> {
        barrier line(tasks);
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(tasks, [&]() -> task<> {
            for (int phase = 1; phase <= phases; ++phase) {
              ++n;
              co_await line.arrive_and_wait();
              if (n < phase * tasks) ++bad;
            }
          });
          co_return;
        };
        co_await with_task_group(all);
      }(arrivals, ahead));
      CHECK(arrivals == tasks * phases);
      CHECK(ahead == 0);
    };
    on_both(body);
    body({.workers = 4});
  }

  TEST_CASE("who drops out is not waited for, in this phase and in the next") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        barrier line(3);
        std::atomic<int> passed = 0;
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(2, [&]() -> task<> {
            co_await line.arrive_and_wait();
            co_await line.arrive_and_wait();
            ++passed;
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK(passed == 0);
          line.arrive_and_drop();
        };
        co_await with_task_group(all);
        CHECK(passed == 2);
        line.arrive_and_drop();
        co_await line.arrive_and_wait();  // alone now
      }());
    });
  }

  TEST_CASE("a cancelled task has not arrived: the phase needs another in its place") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        barrier line(2);
        auto wait = [&]() -> task<> {
          const result<void> r = co_await as_result(line.arrive_and_wait());
          CHECK_FALSE(r);
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(wait);
          for (int i = 0; i < 10; ++i) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        std::atomic<int> passed = 0;
        auto both = [&](task_group& g) -> task<> {
          auto arrive = [&]() -> task<> {
            co_await line.arrive_and_wait();
            ++passed;
          };
          g.spawn(arrive);
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK(passed == 0);
          co_await arrive();
        };
        co_await with_task_group(both);
        CHECK(passed == 2);
      }());
    });
  }

  TEST_CASE("a participant that is cancelled and drops out leaves the others to go on") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        barrier line(3);
        std::atomic<int> passed = 0;
        auto body = [&](task_group& g) -> task<> {
          g.spawn_n(2, [&]() -> task<> {
            co_await line.arrive_and_wait();
            ++passed;
          });
          auto cancelled_one = [&](task_group& own) -> task<> {
            own.cancel();
            const result<void> r = co_await as_result(line.arrive_and_wait());
            if (!r) line.arrive_and_drop();
          };
          co_await with_task_group(cancelled_one);
        };
        co_await with_task_group(body);
        CHECK(passed == 2);
      }());
    });
  }

  TEST_CASE(
      "a stop that races with the last arrival leaves nobody behind and nobody counted twice") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          barrier line(2);
          std::atomic<int> passed = 0;
          std::atomic<int> stopped = 0;
          auto arrive = [&]() -> task<> {
            const result<void> r = co_await as_result(line.arrive_and_wait());
            if (r) {
              ++passed;
            } else {
              ++stopped;
              line.arrive_and_drop();
            }
          };
          auto body = [&](task_group& g) -> task<> {
            auto inner = [&](task_group& i) -> task<> {
              i.spawn(arrive);
              for (int n = 0; n < round % 4; ++n) co_await yield();
              g.spawn(arrive);
              for (int n = 0; n < round / 4 % 4; ++n) co_await yield();
              i.cancel();
            };
            co_await with_task_group(inner);
          };
          co_await with_task_group(body);
          CHECK(passed + stopped == 2);
          CHECK(passed >= 1);
        }
      }());
    });
  }

  TEST_CASE("dropping out more often than there are participants ends the program") {
    const std::string said = tests::dying_words([] {
      barrier line(1);
      line.arrive_and_drop();
      line.arrive_and_drop();
    });
    CHECK(said.find("more participants dropped out of a barrier") != std::string::npos);
  }

  TEST_CASE("destroying a barrier that a task waits for ends the program with a message") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto line = std::make_unique<barrier>(2u);
        auto body = [&line](task_group& g) -> task<> {
          g.spawn([](barrier& b) -> task<> { co_await b.arrive_and_wait(); }, std::ref(*line));
          co_await yield();
          line.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("a barrier was destroyed while tasks wait for it") != std::string::npos);
  }
}

}  // namespace barrier_test

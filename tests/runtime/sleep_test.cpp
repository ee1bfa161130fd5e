// SPDX-License-Identifier: MIT
#include "weft/runtime/sleep.hpp"

#include "support/both_schedulers.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <vector>

namespace sleep_test {

using namespace weft;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using tests::on_both;

TEST_SUITE("runtime/sleep") {
  TEST_CASE("a sleep never ends early") {
    on_both([](const run_options& options) {
      bool early = false;
      run(options, [](bool& flag) -> task<> {
        std::vector<task<>> sleepers;
        for (int i = 0; i < 200; ++i) {
          sleepers.push_back([](bool& f, int me) -> task<> {
            const auto wait = std::chrono::nanoseconds(me * 37'123 + 1);
            const auto begin = steady::now();
            co_await sleep_for(wait);
            if (steady::now() - begin < wait) f = true;
          }(flag, i));
        }
        co_await when_all(std::move(sleepers));
        const auto then = steady::now() + 2ms;
        co_await sleep_until(then);
        if (steady::now() < then) flag = true;
      }(early));
      CHECK_FALSE(early);
    });
  }

  TEST_CASE("sleepers of one thread wake in the order of their deadlines") {
    // Between two of them the thread may be held up for longer than they differ: not so here.
    tests::test_kernel kernel;
    std::vector<int> order;
    run({.kernel = &kernel}, [](std::vector<int>& out) -> task<> {
      auto sleeper = [](std::vector<int>& woken, int ms) -> task<> {
        co_await sleep_for(std::chrono::milliseconds(ms));
        woken.push_back(ms);
      };
      co_await when_all(sleeper(out, 9), sleeper(out, 3), sleeper(out, 6), sleeper(out, 1));
    }(order));
    CHECK(order == std::vector<int>{1, 3, 6, 9});
  }

  TEST_CASE("a sleep of no time, of less, and until the past end at once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        co_await sleep_for(0s);
        co_await sleep_for(-1h);
        co_await sleep_for(std::chrono::nanoseconds::min());
        co_await sleep_for(std::chrono::hours::min());
        co_await sleep_for(std::chrono::duration<double>(-1e30));
        co_await sleep_until(steady::now() - 1h);
        co_await sleep_until(std::chrono::system_clock::now() - 1h);
        co_await sleep_until(steady::time_point::min());
      }());
    });
  }

  TEST_CASE("a sleep of no time lets the other ready tasks run") {
    std::vector<int> order;
    run([](std::vector<int>& out) -> task<> {
      auto body = [&out](task_group& g) -> task<> {
        g.spawn(
            [](std::vector<int>& o) -> task<> {
              o.push_back(1);
              co_return;
            },
            std::ref(out));
        co_await sleep_for(0s);
        out.push_back(2);
      };
      co_await with_task_group(body);
    }(order));
    CHECK(order == std::vector<int>{1, 2});
  }

  TEST_CASE("a sleep without end does not overflow, and can be cancelled") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto endless = [](std::atomic<int>& k, auto wait) -> task<> {
          try {
            co_await sleep_for(wait);
          } catch (const cancelled&) {
            ++k;
          }
        };
        auto until = [](std::atomic<int>& k) -> task<> {
          try {
            co_await sleep_until(steady::time_point::max());
          } catch (const cancelled&) {
            ++k;
          }
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(endless, std::ref(n), std::chrono::nanoseconds::max());
          g.spawn(endless, std::ref(n), std::chrono::hours::max());
          g.spawn(endless, std::ref(n), std::chrono::duration<double>(1e300));
          g.spawn(endless, std::ref(n), std::chrono::duration<long long, std::pico>::max());
          g.spawn(until, std::ref(n));
          co_await sleep_for(2ms);
          CHECK(n == 0);
          g.cancel();
        };
        co_await with_task_group(body);
      }(cancels));
      CHECK(cancels == 5);
    });
  }

  TEST_CASE("a hundred thousand sleepers at once all wake") {
    on_both([](const run_options& options) {
      std::atomic<int> woken = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn_n(100'000, [&n]() -> task<> {
            co_await sleep_for(1ms);
            ++n;
          });
          co_return;
        };
        co_await with_task_group(body);
      }(woken));
      CHECK(woken == 100'000);
    });
  }

  TEST_CASE("a hundred thousand sleepers at once are all cancelled") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn_n(100'000, [&n]() -> task<> {
            const result<void> r = co_await as_result(sleep_for(1h));
            if (!r) ++n;
          });
          co_await sleep_for(1ms);
          g.cancel();
        };
        co_await with_task_group(body);
      }(cancels));
      CHECK(cancels == 100'000);
    });
  }

  TEST_CASE("a time far in the past of any clock is over at once, and so is no number") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        using system_clock = std::chrono::system_clock;
        using steady_clock = std::chrono::steady_clock;
        co_await sleep_until(system_clock::time_point::min());
        co_await sleep_until(steady_clock::time_point::min());
        co_await sleep_for(std::chrono::duration<double>(std::nan("")));
        co_await sleep_for(std::chrono::hours::min());
      }());
    });
  }
}

}  // namespace sleep_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

#include "support/both_schedulers.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace semaphore_test {

using namespace weft;
using tests::on_both;

namespace {

const run_options four{.workers = 4};

}  // namespace

TEST_SUITE("runtime/semaphore") {
  TEST_CASE("as many permits as can be counted are no limit") {
    on_both([](const run_options& options) {
      semaphore unlimited(static_cast<std::size_t>(-1));
      auto take = [](semaphore& s) -> task<> {
        const auto permit = co_await s.acquire();
        CHECK(s.available() > 1'000'000);
      };
      run(options, take(unlimited));
      CHECK(unlimited.try_acquire().has_value());
    });
  }

  TEST_CASE("a permit goes back when its guard goes, early or at the end of its scope") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        semaphore s(2);
        {
          semaphore_permit one = co_await s.acquire();
          const semaphore_permit two = co_await s.acquire();
          CHECK(s.available() == 0);
          CHECK_FALSE(s.try_acquire().has_value());
          one.release();
          CHECK(s.available() == 1);
          one.release();
          CHECK(s.available() == 1);
          const semaphore_permit moved = std::move(one);
          CHECK(s.available() == 1);
        }
        CHECK(s.available() == 2);
      }());
    });
  }

  TEST_CASE("no more tasks are inside than there are permits") {
    const auto body = [](const run_options& options) {
      run(options, []() -> task<> {
        semaphore s(3);
        std::atomic<int> inside = 0;
        std::atomic<int> most = 0;
        std::atomic<int> ran = 0;
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(200, [&]() -> task<> {
            const semaphore_permit permit = co_await s.acquire();
            const int now = ++inside;
            int seen = most;
            while (now > seen && !most.compare_exchange_weak(seen, now)) {}
            co_await yield();
            --inside;
            ++ran;
          });
          co_return;
        };
        co_await with_task_group(all);
        CHECK(ran == 200);
        CHECK(most <= 3);
        CHECK(s.available() == 3);
      }());
    };
    on_both(body);
    body(four);
  }

  TEST_CASE("permits are given in the order of asking, and nobody overtakes") {
    std::vector<int> order;
    run([](std::vector<int>& out) -> task<> {
      semaphore s(0);
      auto all = [&](task_group& g) -> task<> {
        for (int i = 0; i < 5; ++i) {
          g.spawn(
              [](semaphore& sem, std::vector<int>& o, int me) -> task<> {
                const semaphore_permit permit = co_await sem.acquire();
                o.push_back(me);
              },
              std::ref(s), std::ref(out), i);
        }
        co_await yield();
        s.release();
        CHECK_FALSE(s.try_acquire().has_value());
      };
      co_await with_task_group(all);
    }(order));
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  }

  TEST_CASE("two acquires of one permit do not both go through at once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        semaphore s(1);
        std::atomic<int> inside = 0;
        std::atomic<bool> both = false;
        auto user = [&]() -> task<> {
          const semaphore_permit permit = co_await s.acquire();
          if (++inside == 2) both = true;
          co_await yield();
          --inside;
        };
        co_await when_all(user(), user());
        CHECK_FALSE(both);
        CHECK(s.available() == 1);
      }());
    });
  }

  TEST_CASE("a plain thread releases permits that tasks wait for") {
    on_both([](const run_options& options) {
      semaphore s(0);
      std::thread giver([&s] {
        for (int i = 0; i < 500; ++i) {
          s.release();
        }
      });
      std::atomic<int> got = 0;
      run(options, [](semaphore& sem, std::atomic<int>& n) -> task<> {
        const work_guard giver_comes;
        // Kept, so that no permit goes to two tasks.
        std::array<std::optional<semaphore_permit>, 500> kept;
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(500, [&]() -> task<> {
            semaphore_permit permit = co_await sem.acquire();
            kept[static_cast<std::size_t>(n++)].emplace(std::move(permit));
          });
          co_return;
        };
        co_await with_task_group(all);
      }(s, got));
      giver.join();
      CHECK(got == 500);
    });
  }

  TEST_CASE("a permit that another is moved to gives the one that it held back") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        semaphore one(1);
        semaphore two(1);
        semaphore_permit held = co_await one.acquire();
        semaphore_permit other = co_await two.acquire();
        held = std::move(other);
        CHECK(one.available() == 1);
        CHECK(two.available() == 0);
      }());
    });
  }
}

}  // namespace semaphore_test

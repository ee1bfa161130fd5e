// SPDX-License-Identifier: MIT
#include "weft/runtime/semaphore.hpp"

#include "support/both_schedulers.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace weft;
using tests::on_both;

namespace {

const run_options four{.workers = 4};

}  // namespace

TEST_SUITE("runtime/semaphore") {
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

  TEST_CASE("a mutex lets one task in at a time, and the sum under it is exact") {
    const auto body = [](const run_options& options) {
      long sum = 0;
      run(options, [](long& total) -> task<> {
        mutex m;
        auto all = [&](task_group& g) -> task<> {
          g.spawn_n(8, [&]() -> task<> {
            for (int i = 0; i < 2000; ++i) {
              const mutex_lock lock = co_await m.lock();
              const long before = total;
              if (i % 64 == 0) co_await yield();
              total = before + 1;
            }
          });
          co_return;
        };
        co_await with_task_group(all);
      }(sum));
      CHECK(sum == 16'000);
    };
    on_both(body);
    body(four);
  }

  TEST_CASE("a mutex is free again after unlock, and taken while a lock lives") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        mutex_lock lock = co_await m.lock();
        CHECK_FALSE(m.try_lock().has_value());
        lock.unlock();
        {
          const std::optional<mutex_lock> second = m.try_lock();
          CHECK(second.has_value());
          CHECK_FALSE(m.try_lock().has_value());
        }
        CHECK(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a mutex is shared by a loop and a pool") {
    mutex m;
    long sum = 0;
    const auto add = [](mutex& mut, long& total) -> task<> {
      for (int i = 0; i < 3000; ++i) {
        const mutex_lock lock = co_await mut.lock();
        total = total + 1;
      }
    };
    const auto both = [&add](mutex& mut, long& total) -> task<> {
      co_await when_all(add(mut, total), add(mut, total));
    };
    std::thread other([&] { run({.workers = 2}, tests::from_outside(both(m, sum))); });
    run(tests::from_outside(both(m, sum)));
    other.join();
    CHECK(sum == 12'000);
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

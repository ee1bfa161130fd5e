// SPDX-License-Identifier: MIT
#include "weft/sched/on.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace on_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::on_both;

namespace {

task<std::thread::id> this_thread() { co_return std::this_thread::get_id(); }

task<int> number(int n) { co_return n; }

task<int> fail() {
  co_await yield();
  throw std::runtime_error("over there");
  co_return 0;
}

}  // namespace

TEST_SUITE("sched/on") {
  TEST_CASE("a task of a loop goes to a pool and comes back to its thread") {
    thread_pool pool({.workers = 2});
    run([](thread_pool& there) -> task<> {
      const std::thread::id before = std::this_thread::get_id();
      for (int i = 0; i < 100; ++i) {
        const std::thread::id away = co_await on(there, this_thread());
        CHECK(away != before);
        CHECK(std::this_thread::get_id() == before);
      }
    }(pool));
  }

  TEST_CASE("values of every kind come back") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      run(options, [](thread_pool& there) -> task<> {
        auto box = [](int n) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(n); };
        auto refer = [](int& n) -> task<int&> { co_return n; };
        auto nothing = []() -> task<> { co_return; };
        int k = 1;
        const std::unique_ptr<int> p = co_await on(there, box(3));
        int& same = co_await on(there, refer(k));
        co_await on(there, nothing());
        CHECK(*p == 3);
        CHECK(&same == &k);
      }(pool));
    });
  }

  TEST_CASE("pools call each other's short tasks by the thousand") {
    thread_pool pool({.workers = 2});
    int sum = 0;
    run({.workers = 2}, [](thread_pool& there, int& total) -> task<> {
      for (int i = 0; i < 5000; ++i) {
        total += co_await on(there, number(1));
      }
    }(pool, sum));
    CHECK(sum == 5000);
  }

  TEST_CASE("a task that is away spawns in a group of those who sent it, which waits for all") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      run(options, [](thread_pool& there) -> task<> {
        static constexpr int children = 5000;
        std::atomic<int> ended = 0;
        auto child = [&ended]() -> task<> {
          co_await yield();
          ++ended;
        };
        // Both outlive the body, which may be over before the one that leaves has begun.
        auto spawn_there = [&child](task_group& g) -> task<> {
          g.spawn_n(children, child);
          co_return;
        };
        auto leave = [&](task_group& g) -> task<> { co_await on(there, spawn_there(g)); };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(leave, std::ref(g));
          for (int i = 0; i < children; ++i) {
            g.spawn(child);
            if (i % 8 == 0) co_await yield();  // those that were spawned before go meanwhile
          }
        };
        co_await with_task_group(body);
        CHECK(ended == 2 * children);
      }(pool));
    });
  }

  TEST_CASE("an exception comes back") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      CHECK_THROWS_WITH_AS(run(options, on(pool, fail())), "over there", std::runtime_error);
    });
  }

  TEST_CASE("arguments of the task die over there, before the caller goes on") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      bool late = false;
      run(options, [](thread_pool& there, bool& flag) -> task<> {
        for (int i = 0; i < 500; ++i) {
          auto user = [](counted) -> task<> { co_await yield(); };
          co_await on(there, user(counted(1)));
          if (counted::alive() != 0) flag = true;
        }
      }(pool, late));
      CHECK_FALSE(late);
    });
  }

  TEST_CASE("a cancel of the caller stops the task over there, and both end as cancelled") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      std::atomic<int> cancels_there = 0;
      std::atomic<int> cancels_here = 0;
      run(options, [](thread_pool& there, std::atomic<int>& far, std::atomic<int>& near) -> task<> {
        event begun;
        auto sleeper = [&]() -> task<> {
          try {
            begun.set();
            co_await sleep_for(1h);
          } catch (const cancelled&) {
            ++far;
            throw;
          }
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            try {
              co_await on(there, sleeper());
            } catch (const cancelled&) {
              ++near;
              throw;
            }
          });
          co_await begun.wait();
          g.cancel();
        };
        co_await with_task_group(body);
      }(pool, cancels_there, cancels_here));
      CHECK(cancels_there == 1);
      CHECK(cancels_here == 1);
    });
  }

  TEST_CASE("a task that ends in spite of the cancel gives its value") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      run(options, [](thread_pool& there) -> task<> {
        event begun;
        auto stubborn = [&]() -> task<int> {
          begun.set();
          const result<void> r = co_await as_result(sleep_for(1h));
          co_return r ? 0 : 7;
        };
        int value = 0;
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> { value = co_await on(there, stubborn()); });
          co_await begun.wait();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(value == 7);
      }(pool));
    });
  }

  TEST_CASE("under a stopped scope nothing is started over there") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      bool started = false;
      run(options, [](thread_pool& there, bool& flag) -> task<> {
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          auto mark = [](bool& f) -> task<> {
            f = true;
            co_return;
          };
          co_await on(there, mark(flag));
        };
        co_await with_task_group(body);
      }(pool, started));
      CHECK_FALSE(started);
    });
  }

  TEST_CASE("a task goes to its own scheduler and comes back") {
    thread_pool pool({.workers = 2});
    const int n = pool.run([](thread_pool& own) -> task<int> {
      const int k = co_await on(own, number(3));
      co_return k;
    }(pool));
    CHECK(n == 3);
  }

  TEST_CASE("many trips to one pool from many tasks end") {
    on_both([](const run_options& options) {
      thread_pool pool({.workers = 2});
      std::atomic<int> sum = 0;
      run(options, [](thread_pool& there, std::atomic<int>& total) -> task<> {
        auto body = [&](task_group& g) -> task<> {
          g.spawn_n(200, [&]() -> task<> {
            for (int i = 0; i < 5; ++i) {
              const int n = co_await on(there, number(1));
              total += n;
            }
          });
          co_return;
        };
        co_await with_task_group(body);
      }(pool, sum));
      CHECK(sum == 1000);
    });
  }

  TEST_CASE(
      "a pool that is destroyed stops the tasks that came by on, and says so to their callers") {
    on_both([](const run_options& options) {
      std::optional<thread_pool> pool;
      pool.emplace(run_options{.workers = 2});
      std::atomic<bool> begun = false;
      std::atomic<int> cancels_there = 0;
      std::error_code code;
      std::thread caller([&] {
        try {
          auto sleeper = [&]() -> task<> {
            begun = true;
            begun.notify_one();
            try {
              co_await sleep_for(1h);
            } catch (const cancelled&) {
              ++cancels_there;
              throw;
            }
          };
          run(options, on(*pool, sleeper()));
        } catch (const std::system_error& e) {
          code = e.code();
        }
      });
      begun.wait(false);
      pool.reset();
      // It waited for the guest, which was there until the end.
      CHECK(cancels_there == 1);
      caller.join();
      CHECK(code == std::errc::operation_canceled);
    });
  }

  TEST_CASE("a loop whose run ends stops the tasks that came by on, and says so to their callers") {
    event_loop loop;
    std::error_code code;
    event begun;
    std::thread caller;
    loop.run([](event_loop& own, std::error_code& out, event& e, std::thread& thread) -> task<> {
      thread = std::thread([&, guard = work_guard()] {
        try {
          run([](event_loop& there, event& started) -> task<> {
            auto sleeper = [](event& s) -> task<> {
              s.set();
              co_await sleep_for(1h);
            };
            co_await on(there, sleeper(started));
          }(own, e));
        } catch (const std::system_error& error) {
          out = error.code();
        }
      });
      co_await e.wait();
    }(loop, code, begun, caller));
    caller.join();
    CHECK(code == std::errc::operation_canceled);
  }
}

}  // namespace on_test

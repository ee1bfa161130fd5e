// SPDX-License-Identifier: MIT
#include "weft/runtime/mutex.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/dump_tasks.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace mutex_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

const run_options four{.workers = 4};

/// Lets the others run until that many of them wait for a mutex.
task<> until_waiting(std::size_t tasks) {
  for (;;) {
    const std::string text = dump_tasks();
    std::size_t waiting = 0;
    for (std::size_t at = 0; (at = text.find("waits for mutex::lock", at)) != std::string::npos;
         ++at)
      ++waiting;
    if (waiting >= tasks) co_return;
    co_await yield();
  }
}

task<> note_turn(mutex& m, std::vector<int>& order, int me) {
  const mutex_lock lock = co_await m.lock();
  order.push_back(me);
}

/// Locks, and says how that ended.
task<> lock_once(mutex& m, std::atomic<int>& locked, std::atomic<int>& cancels) {
  result<mutex_lock> lock = co_await as_result(m.lock());
  if (lock)
    ++locked;
  else if (lock.error() == std::errc::operation_canceled)
    ++cancels;
}

}  // namespace

TEST_SUITE("runtime/mutex") {
  TEST_CASE("a mutex is given in the order of asking, and nobody overtakes") {
    on_both([](const run_options& options) {
      std::vector<int> order;
      run(options, [](std::vector<int>& out) -> task<> {
        mutex m;
        auto all = [&](task_group& g) -> task<> {
          mutex_lock lock = co_await m.lock();
          for (std::size_t i = 0; i < 5; ++i) {
            g.spawn(note_turn, std::ref(m), std::ref(out), static_cast<int>(i));
            co_await until_waiting(i + 1);
          }
          lock.unlock();
        };
        co_await with_task_group(all);
      }(order));
      CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    });
  }

  TEST_CASE("a mutex that is handed on is not free in between") {
    run([]() -> task<> {
      mutex m;
      std::vector<int> order;
      auto all = [&](task_group& g) -> task<> {
        mutex_lock lock = co_await m.lock();
        g.spawn(note_turn, std::ref(m), std::ref(order), 1);
        co_await until_waiting(1);
        lock.unlock();
        CHECK_FALSE(m.try_lock().has_value());
        CHECK(order.empty());
        lock = co_await m.lock();
        order.push_back(2);
      };
      co_await with_task_group(all);
      CHECK(order == std::vector<int>{1, 2});
    }());
  }

  TEST_CASE("an unlock resumes nobody before it returns") {
    const auto body = [](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        std::atomic<detail::worker*> unlocking = nullptr;
        std::atomic<int> inside = 0;
        auto user = [&]() -> task<> {
          for (int i = 0; i < 200; ++i) {
            mutex_lock lock = co_await m.lock();
            if (unlocking == detail::current_worker()) ++inside;
            co_await yield();  // the others come to wait
            detail::worker* const here = detail::current_worker();
            unlocking = here;
            lock.unlock();
            detail::worker* still = here;
            unlocking.compare_exchange_strong(still, nullptr);
          }
        };
        co_await when_all(user(), user(), user());
        CHECK(inside == 0);
      }());
    };
    on_both(body);
    body(four);
  }

  TEST_CASE("a cancelled waiter gets no lock, and the one behind it does") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        std::atomic<int> locked = 0;
        std::atomic<int> cancels = 0;
        mutex_lock held = co_await m.lock();
        auto all = [&](task_group& g) -> task<> {
          const join_handle<void> first =
              g.spawn(lock_once, std::ref(m), std::ref(locked), std::ref(cancels));
          co_await until_waiting(1);
          g.spawn(lock_once, std::ref(m), std::ref(locked), std::ref(cancels));
          co_await until_waiting(2);
          first.cancel();
          (void)co_await as_result(first);
          CHECK(cancels == 1);
          CHECK(locked == 0);
          held.unlock();
        };
        co_await with_task_group(all);
        CHECK(locked == 1);
        CHECK(cancels == 1);
        CHECK(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a waiter that was handed the mutex has it, whatever is cancelled then") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        std::atomic<int> locked = 0;
        std::atomic<int> cancels = 0;
        mutex_lock held = co_await m.lock();
        auto all = [&](task_group& g) -> task<> {
          g.spawn(lock_once, std::ref(m), std::ref(locked), std::ref(cancels));
          g.spawn(lock_once, std::ref(m), std::ref(locked), std::ref(cancels));
          co_await until_waiting(2);
          held.unlock();
          g.cancel();
        };
        co_await with_task_group(all);
        CHECK(locked >= 1);
        CHECK(locked + cancels == 2);
        CHECK(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("under a stopped scope a free mutex is not taken") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        std::atomic<int> locked = 0;
        std::atomic<int> cancels = 0;
        auto all = [&](task_group& g) -> task<> {
          g.cancel();
          co_await lock_once(m, locked, cancels);
        };
        co_await with_task_group(all);
        CHECK(locked == 0);
        CHECK(cancels == 1);
        CHECK(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("what ends a task that holds the mutex gives it back") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        auto fails = [&]() -> task<> {
          const mutex_lock lock = co_await m.lock();
          throw std::runtime_error("on purpose");
        };
        auto waits = [&]() -> task<> {
          const mutex_lock lock = co_await m.lock();
          co_await sleep_for(1h);
        };
        bool failed = false;
        try {
          co_await fails();
        } catch (const std::runtime_error&) {
          failed = true;
        }
        CHECK(failed);
        (void)co_await as_result(with_timeout(1ms, waits()));
        CHECK(m.try_lock().has_value());
      }());
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

  TEST_CASE("unlock again does nothing, and neither does a lock that was moved from") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        mutex m;
        mutex_lock lock = co_await m.lock();
        lock.unlock();
        lock.unlock();
        lock = co_await m.lock();
        mutex_lock moved = std::move(lock);
        lock.unlock();
        CHECK_FALSE(m.try_lock().has_value());
        moved.unlock();
        const std::optional<mutex_lock> only = m.try_lock();
        CHECK(only.has_value());
        CHECK_FALSE(m.try_lock().has_value());
      }());
    });
  }

  TEST_CASE("a plain thread that has the mutex keeps tasks out, and its unlock lets one in") {
    on_both([](const run_options& options) {
      mutex m;
      long sum = 0;
      std::thread other([&] {
        for (int i = 0; i < 2000;) {
          const std::optional<mutex_lock> lock = m.try_lock();
          if (!lock) continue;
          sum = sum + 1;
          ++i;
        }
      });
      run(options, [](mutex& mut, long& total) -> task<> {
        const work_guard other_unlocks;
        auto add = [&]() -> task<> {
          for (int i = 0; i < 2000; ++i) {
            const mutex_lock lock = co_await mut.lock();
            total = total + 1;
          }
        };
        co_await when_all(add(), add());
      }(m, sum));
      other.join();
      CHECK(sum == 6000);
    });
  }

  TEST_CASE("a mutex that is destroyed while a task waits for it ends the program") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const std::string said = tests::dying_words([workers] {
        run({.workers = workers}, []() -> task<> {
          auto m = std::make_unique<mutex>();
          const std::optional<mutex_lock> held = m->try_lock();
          std::vector<int> order;
          auto all = [&](task_group& g) -> task<> {
            g.spawn(note_turn, std::ref(*m), std::ref(order), 1);
            co_await until_waiting(1);
            m.reset();
          };
          co_await with_task_group(all);
        }());
      });
      CHECK(said.find("destroyed while tasks wait for it") != std::string::npos);
    }
  }

  TEST_CASE("a task that locks a mutex twice is told where it has it from") {
    on_both([](const run_options& options) {
      std::string report;
      try {
        run(options, []() -> task<> {
          mutex m;
          const mutex_lock once = co_await m.lock();
          const mutex_lock twice = co_await m.lock();
        }());
      } catch (const deadlock& e) {
        report = e.what();
      }
      CHECK(report.find("waits for mutex::lock, which ") != std::string::npos);
      CHECK(report.find("mutex_test.cpp:") != std::string::npos);
    });
  }
}

}  // namespace mutex_test

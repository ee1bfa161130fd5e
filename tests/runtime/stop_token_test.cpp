// SPDX-License-Identifier: MIT
#include "weft/runtime/stop_token.hpp"

#include "support/both_schedulers.hpp"
#include "support/virtual_time.hpp"
#include "weft/io/blocking.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stop_token>
#include <thread>

namespace stop_token_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;
using tests::on_both_in_virtual_time;

namespace {

task<> keep_token(std::stop_token& out) {
  out = co_await this_task::stop_token();
  co_await sleep_for(1h);
}

/// What a library that knows only the standard's tokens does.
int compute_until(const std::stop_token& stop) {
  int steps = 0;
  while (!stop.stop_requested()) {
    ++steps;
    std::this_thread::yield();
  }
  return steps;
}

/// Notes for how long which thread is inside the cancel. No coroutine: those change threads.
[[gnu::noinline]] void note_and_cancel(std::atomic<std::thread::id>& cancelling, task_group& g) {
  cancelling = std::this_thread::get_id();
  g.cancel();
  cancelling = std::thread::id();
}

task<> compute() {
  std::stop_token stop = co_await this_task::stop_token();
  co_await blocking(compute_until, std::move(stop));
}

}  // namespace

TEST_SUITE("runtime/stop_token") {
  TEST_CASE("a cancelled group stops the tokens of its tasks before it ends") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::stop_token first;
        std::stop_token second;
        auto body = [&](task_group& g) -> task<> {
          g.spawn(keep_token, std::ref(first));
          g.spawn(keep_token, std::ref(second));
          co_await sleep_for(1ms);
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(first.stop_requested());
        CHECK(second.stop_requested());
      }());
    });
  }

  TEST_CASE("a deadline stops a computation on a helper thread that asks its token") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto r = co_await as_result(with_timeout(2ms, compute()));
        // The computation went on to its end, whose result came too late for the caller.
        CHECK((r.has_value() || r.error() == std::errc::timed_out));
      }());
    });
  }

  TEST_CASE("cancelling one task stops its token, not its sibling's") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::stop_token one;
        std::stop_token other;
        auto body = [&](task_group& g) -> task<> {
          join_handle<void> first = g.spawn(keep_token, std::ref(one));
          g.spawn(keep_token, std::ref(other));
          co_await sleep_for(1ms);
          first.cancel();
          (void)co_await as_result(std::move(first));
          while (!one.stop_requested()) co_await yield();
          CHECK_FALSE(other.stop_requested());
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(other.stop_requested());
      }());
    });
  }

  TEST_CASE("a task that waits is told before its wait ends") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> called{0};
        auto listen = [&called]() -> task<> {
          std::stop_token stop = co_await this_task::stop_token();
          const std::stop_callback count(stop, [&called] { ++called; });
          const auto r = co_await as_result(sleep_for(1h));
          CHECK(r.error() == std::errc::operation_canceled);
          CHECK(stop.stop_requested());
        };
        auto body = [&](task_group& g) -> task<> {
          for (int i = 0; i < 100; ++i) g.spawn(listen);
          co_await sleep_for(1ms);  // by then they sleep; else they are refused
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(called == 100);
      }());
    });
  }

  TEST_CASE("a task whose await is refused finds its token stopped") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          const std::stop_token stop = co_await this_task::stop_token();
          g.cancel();
          const auto r = co_await as_result(sleep_for(1h));
          CHECK(!r);
          // The other worker of a pool may have the token in its hands just now.
          while (detail::current_worker()->shared && !stop.stop_requested())
            std::this_thread::yield();
          CHECK(stop.stop_requested());
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("another worker tells the token while the one that cancelled computes") {
    run({.workers = 2}, []() -> task<> {
      std::stop_token stop;
      std::atomic<bool> asked{false};
      auto listen = [&]() -> task<> {
        stop = co_await this_task::stop_token();
        asked = true;
        co_await sleep_for(1h);
      };
      auto body = [&](task_group& g) -> task<> {
        const join_handle<void> child = g.spawn(listen);
        while (!asked) co_await yield();
        child.cancel();
        compute_until(stop);  // without an await
      };
      co_await with_task_group(body);
    }());
  }

  TEST_CASE("a callback runs between two tasks, not inside the cancel") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<std::thread::id> cancelling;
        std::atomic<bool> called_inside{false};
        std::atomic<bool> called{false};
        auto listen = [&](std::atomic<bool>& ready) -> task<> {
          std::stop_token stop = co_await this_task::stop_token();
          const std::stop_callback tell(stop, [&] {
            if (cancelling == std::this_thread::get_id()) called_inside = true;
            called = true;
          });
          ready = true;
          (void)co_await as_result(sleep_for(1h));
          while (!called) (void)co_await as_result(yield());
        };
        auto body = [&](task_group& g) -> task<> {
          std::atomic<bool> ready{false};
          g.spawn(listen, std::ref(ready));
          while (!ready) co_await yield();
          note_and_cancel(cancelling, g);
        };
        co_await with_task_group(body);
        CHECK(called);
        CHECK_FALSE(called_inside);
      }());
    });
  }

  TEST_CASE("one scope has one token, and an inner scope another") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::stop_token first = co_await this_task::stop_token();
        const std::stop_token again = co_await this_task::stop_token();
        CHECK(first == again);
        auto inside = [](const std::stop_token& outer) -> task<std::stop_token> {
          std::stop_token own = co_await this_task::stop_token();
          CHECK(own != outer);
          co_return own;
        };
        const std::stop_token closed = co_await with_timeout(1h, inside(first));
        // Nobody is left who could stop it.
        CHECK_FALSE(closed.stop_possible());
        CHECK(first.stop_possible());
        CHECK_FALSE(first.stop_requested());
      }());
    });
  }

  TEST_CASE("under a stopped scope the token is stopped at once, under a shield it is not") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ask = []() -> task<bool> {
          const std::stop_token t = co_await this_task::stop_token();
          co_return t.stop_requested();
        };
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          auto child = [&]() -> task<> {
            const std::stop_token t = co_await this_task::stop_token();
            CHECK(t.stop_requested());
            const bool inside = co_await shield(ask(), 1h);
            CHECK_FALSE(inside);
          };
          g.spawn(child);
          co_return;
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a stop that comes while a shield is open reaches the token outside it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<bool> shielded{false};
        auto child = [&]() -> task<> {
          const std::stop_token outer = co_await this_task::stop_token();
          auto wait = [&]() -> task<> {
            const std::stop_token inner = co_await this_task::stop_token();
            shielded = true;
            while (!outer.stop_requested()) co_await yield();
            CHECK_FALSE(inner.stop_requested());
          };
          co_await shield(wait(), 1h);
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(child);
          while (!shielded) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("many tasks with tokens are stopped and forgotten at random moments") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> told{0};
        auto child = [&told](int n) -> task<> {
          std::stop_token stop = co_await this_task::stop_token();
          const std::stop_callback count(stop, [&told] { ++told; });
          for (int i = 0; i < n % 7; ++i) co_await yield();
          (void)co_await as_result(with_timeout(std::chrono::microseconds(n % 50), sleep_for(1h)));
        };
        for (int round = 0; round < 20; ++round) {
          auto body = [&](task_group& g) -> task<> {
            for (int i = 0; i < 50; ++i) {
              auto h = g.spawn(child, i + round);
              if (i % 5 == 0) h.cancel();
            }
            co_await sleep_for(std::chrono::microseconds(round * 5));
            g.cancel();
          };
          co_await with_task_group(body);
        }
      }());
    });
  }
}

}  // namespace stop_token_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/join_handle.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace join_handle_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::on_both;

namespace {

task<int> number(int n) { co_return n; }

task<int> number_later(int n, event& gate) {
  co_await gate.wait();
  co_return n;
}

task<> wait_for(join_handle<void>& h) { co_await h; }

}  // namespace

TEST_SUITE("runtime/join_handle") {
  TEST_CASE("what nobody takes is gone before the group ends, whoever has cancelled its task") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event waits;
        event gate;
        auto make_when_open = [&waits, &gate]() -> task<counted> {
          waits.set();
          co_await gate.wait();
          co_return counted();
        };
        auto body = [&](task_group& g) -> task<> {
          auto child = g.spawn(make_when_open);
          co_await waits.wait();
          gate.set();
          std::thread([&child] { child.cancel(); }).join();
        };
        co_await with_task_group(body);
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("a handle gives the value of a task that has ended and of one that runs") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event gate;
        auto body = [&gate](task_group& g) -> task<> {
          join_handle<int> early = g.spawn(number, 1);
          join_handle<int> late = g.spawn(number_later, 2, std::ref(gate));
          while (!early.done()) {
            co_await yield();
          }
          const int first = co_await early;
          CHECK(first == 1);
          CHECK_FALSE(late.done());
          g.spawn(
              [](event& e) -> task<> {
                co_await yield();
                e.set();
              },
              std::ref(gate));
          const int second = co_await late;
          CHECK(second == 2);
          CHECK(late.done());
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a handle gives references, move-only values and nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int n = 1;
        auto body = [&n](task_group& g) -> task<> {
          join_handle<int&> refers =
              g.spawn([](int& k) -> task<int&> { co_return k; }, std::ref(n));
          join_handle<std::unique_ptr<int>> boxes =
              g.spawn([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); });
          join_handle<void> empty = g.spawn([]() -> task<> { co_return; });
          int& same = co_await refers;
          const std::unique_ptr<int> box = co_await boxes;
          co_await empty;
          CHECK(&same == &n);
          CHECK(*box == 2);
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a handle may be dropped, its task goes on") {
    on_both([](const run_options& options) {
      bool ran = false;
      run(options, [](bool& flag) -> task<> {
        auto body = [&flag](task_group& g) -> task<> {
          {
            const join_handle<void> dropped = g.spawn(
                [](bool& f) -> task<> {
                  co_await sleep_for(1ms);
                  f = true;
                },
                std::ref(flag));
          }
          co_return;
        };
        co_await with_task_group(body);
      }(ran));
      CHECK(ran);
    });
  }

  TEST_CASE("a handle outlives its group and then still gives the value") {
    on_both([](const run_options& options) {
      const int n = run(options, []() -> task<int> {
        std::optional<join_handle<int>> kept;
        auto body = [&kept](task_group& g) -> task<> {
          kept.emplace(g.spawn(number, 9));
          co_return;
        };
        co_await with_task_group(body);
        join_handle<int> handle = std::move(*kept);
        const int value = co_await handle;
        co_return value;
      }());
      CHECK(n == 9);
    });
  }

  TEST_CASE("a handle may be dropped after its scheduler has gone") {
    on_both([](const run_options& options) {
      std::optional<join_handle<counted>> kept;
      run(options, [](std::optional<join_handle<counted>>& out) -> task<> {
        auto body = [&out](task_group& g) -> task<> {
          out.emplace(g.spawn([]() -> task<counted> { co_return counted(1); }));
          co_return;
        };
        co_await with_task_group(body);
      }(kept));
      CHECK(counted::alive() == 1);
      kept.reset();
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("a handle rethrows what escaped its task, and the group does so too") {
    on_both([](const run_options& options) {
      std::string at_the_handle;
      CHECK_THROWS_WITH_AS(run(options,
                               [](std::string& what) -> task<> {
                                 std::optional<join_handle<int>> kept;
                                 auto body = [&kept](task_group& g) -> task<> {
                                   kept.emplace(g.spawn([]() -> task<int> {
                                     throw std::runtime_error("child");
                                     co_return 1;
                                   }));
                                   co_return;
                                 };
                                 std::exception_ptr from_group;
                                 try {
                                   co_await with_task_group(body);
                                 } catch (...) {
                                   from_group = std::current_exception();
                                 }
                                 try {
                                   join_handle<int> handle = std::move(*kept);
                                   (void)co_await handle;
                                 } catch (const std::runtime_error& e) {
                                   what = e.what();
                                 }
                                 std::rethrow_exception(from_group);
                               }(at_the_handle)),
                           "child", std::runtime_error);
      CHECK(at_the_handle == "child");
    });
  }

  TEST_CASE("awaiting a task that alone was cancelled is an error and no cancel") {
    on_both([](const run_options& options) {
      std::error_code code;
      std::error_code code_as_result;
      run(options, [](std::error_code& thrown, std::error_code& returned) -> task<> {
        std::optional<join_handle<void>> first;
        std::optional<join_handle<void>> second;
        auto body = [&](task_group& g) -> task<> {
          first.emplace(g.spawn([]() -> task<> { co_await sleep_for(1h); }));
          second.emplace(g.spawn([]() -> task<> { co_await sleep_for(1h); }));
          co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        join_handle<void> one = std::move(*first);
        join_handle<void> two = std::move(*second);
        try {
          co_await one;
        } catch (const std::system_error& e) {
          thrown = e.code();
        }
        const result<void> r = co_await as_result(two);
        returned = r.error();
      }(code, code_as_result));
      CHECK(code == std::errc::operation_canceled);
      CHECK(code_as_result == std::errc::operation_canceled);
    });
  }

  TEST_CASE("tasks that open and close scopes are cancelled by their handles from other workers") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> begun{0};
        auto open_and_close = [&begun]() -> task<> {
          ++begun;
          for (;;) co_await with_timeout(1h, yield());
        };
        auto body = [&](task_group& g) -> task<> {
          for (int round = 1; round <= 200; ++round) {
            auto child = g.spawn(open_and_close);
            while (begun < round) co_await yield();
            child.cancel();
            const result<void> ended = co_await as_result(child);
            CHECK(ended.error() == std::errc::operation_canceled);
          }
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a cancelled wait for a handle leaves the task running and its value there") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event gate;
        auto outer = [&gate](task_group& g) -> task<> {
          join_handle<int> handle = g.spawn(number_later, 4, std::ref(gate));
          auto waits = [&handle](task_group& inner) -> task<> {
            inner.spawn(
                [](task_group& own) -> task<> {
                  co_await yield();
                  own.cancel();
                },
                std::ref(inner));
            (void)co_await handle;
          };
          co_await with_task_group(waits);
          CHECK_FALSE(handle.done());
          gate.set();
          const int value = co_await handle;
          CHECK(value == 4);
        };
        co_await with_task_group(outer);
      }());
    });
  }

  TEST_CASE("tasks that wait for each other's handles in a ring of many end in order") {
    on_both([](const run_options& options) {
      const int sum = run(options, []() -> task<int> {
        auto body = [](task_group& g) -> task<int> {
          join_handle<int> last = g.spawn(number, 0);
          for (int i = 0; i < 1000; ++i) {
            last = g.spawn(
                [](join_handle<int> before) -> task<int> {
                  const int n = co_await before;
                  co_return n + 1;
                },
                std::move(last));
          }
          const int n = co_await last;
          co_return n;
        };
        const int n = co_await with_task_group(body);
        co_return n;
      }());
      CHECK(sum == 1000);
    });
  }

  TEST_CASE("two tasks that await the same handle end the program with a message") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto body = [](task_group& g) -> task<> {
          join_handle<void> shared = g.spawn([]() -> task<> { co_await sleep_for(1h); });
          g.spawn(wait_for, std::ref(shared));
          co_await wait_for(shared);
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("join_handle_test.cpp:") != std::string::npos);
    CHECK(said.find("wait_for") != std::string::npos);
    CHECK(said.find("a second task awaits this join_handle") != std::string::npos);
  }
}

}  // namespace join_handle_test

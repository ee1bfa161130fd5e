// SPDX-License-Identifier: MIT
#include "weft/runtime/as_result.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace as_result_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::on_both;

namespace {

task<counted> give(counted c) { co_return c; }

task<int> fail_with(int error) {
  throw std::system_error(error, std::system_category());
  co_return 0;
}

task<> fail_otherwise() {
  throw std::logic_error("no system error");
  co_return;
}

}  // namespace

TEST_SUITE("runtime/as_result") {
  TEST_CASE("the value of a task or an operation becomes the value of a result") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        {
          const result<counted> r = co_await as_result(give(counted(3)));
          REQUIRE(r.has_value());
          CHECK(r->number == 3);
        }
        CHECK(counted::alive() == 0);
        const result<void> slept = co_await as_result(sleep_for(1ms));
        CHECK(slept.has_value());
      }());
    });
  }

  TEST_CASE("a system_error becomes its code, with the category that it had") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const result<int> r = co_await as_result(fail_with(ENOENT));
        CHECK(r.error() == std::error_code(ENOENT, std::system_category()));
      }());
    });
  }

  TEST_CASE("other exceptions pass through") {
    on_both([](const run_options& options) {
      CHECK_THROWS_AS(run(options,
                          []() -> task<> {
                            (void)co_await as_result(fail_otherwise());
                            CHECK(false);
                          }()),
                      std::logic_error);
    });
  }

  TEST_CASE("a cancel inside a task becomes operation_canceled") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          g.cancel();
          auto sleeper = []() -> task<> { co_await sleep_for(1h); };
          const result<void> r = co_await as_result(sleeper());
          CHECK(r.error() == cancelled_code());
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("what a spawned task threw becomes the result of awaiting its handle") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::optional<join_handle<int>> child;
        auto body = [&child](task_group& g) -> task<> {
          child = g.spawn(fail_with, ENOENT);
          co_return;
        };
        const result<void> group = co_await as_result(with_task_group(body));
        CHECK(group.error() == std::error_code(ENOENT, std::system_category()));
        const result<int> r = co_await as_result(*child);
        CHECK(r.error() == std::error_code(ENOENT, std::system_category()));
      }());
    });
  }

  TEST_CASE("a group that was cancelled before it had a value is an error, not a cancel") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<int> {
          g.cancel();
          co_await sleep_for(1h);
          co_return 1;
        };
        const result<int> r = co_await as_result(with_task_group(body));
        CHECK(r.error() == std::errc::operation_canceled);
        CHECK(r.error() != cancelled_code());
        CHECK_THROWS_AS(r.value(), std::system_error);
      }());
    });
  }

  TEST_CASE("results pass through tasks, handles and when_all") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const auto give_result = []() -> task<result<int>> { co_return 7; };
        const result<result<int>> nested = co_await as_result(give_result());
        CHECK(nested.value().value() == 7);
        auto body = [&](task_group& g) -> task<> {
          const join_handle<result<int>> child = g.spawn(give_result);
          const result<int> r = co_await child;
          CHECK(r.value() == 7);
        };
        co_await with_task_group(body);
        const auto [slept, n] = co_await when_all(as_result(sleep_for(1ms)), give_result());
        CHECK(slept.has_value());
        CHECK(n.value() == 7);
      }());
    });
  }
}

}  // namespace as_result_test

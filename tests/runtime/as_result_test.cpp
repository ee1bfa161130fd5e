// SPDX-License-Identifier: MIT
#include "weft/runtime/as_result.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

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
}

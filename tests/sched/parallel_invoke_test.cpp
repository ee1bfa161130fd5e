// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_invoke.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>

namespace parallel_invoke_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("sched/parallel_invoke") {
  TEST_CASE("it gives the values of functions and of tasks in order") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool called = false;
        std::tuple<int, std::unique_ptr<int>, std::monostate, std::string> all =
            co_await parallel_invoke([] { return 1; }, [] { return std::make_unique<int>(2); },
                                     [&] { called = true; },
                                     []() -> task<std::string> {
                                       co_await yield();
                                       co_return "three";
                                     });
        CHECK(std::get<0>(all) == 1);
        CHECK(*std::get<1>(all) == 2);
        CHECK(called);
        CHECK(std::get<3>(all) == "three");
      }());
    });
  }

  TEST_CASE("on a pool the functions run side by side") {
    const tests::nothing_left_behind guard;
    run({.workers = 2}, []() -> task<> {
      std::atomic<int> arrived = 0;
      auto meet = [&] {
        ++arrived;
        while (arrived.load() < 2) std::this_thread::yield();
      };
      co_await parallel_invoke(meet, meet);
      CHECK(arrived == 2);
    }());
  }

  TEST_CASE("the first failure cancels the others where they wait") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event never;
        bool stopped = false;
        auto waits = [&]() -> task<> {
          try {
            co_await never.wait();
          } catch (const cancelled&) {
            stopped = true;
            throw;
          }
        };
        auto fails = [] { throw std::runtime_error("first"); };
        std::string what;
        try {
          co_await parallel_invoke(waits, fails);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "first");
      }());
    });
  }

  TEST_CASE("on a loop what comes after a failure is not called") {
    const tests::nothing_left_behind guard;
    run([]() -> task<> {
      bool called = false;
      bool thrown = false;
      try {
        co_await parallel_invoke([] { throw std::runtime_error("first"); }, [&] { called = true; });
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      CHECK(thrown);
      CHECK(!called);
    }());
  }

  TEST_CASE("under a stopped scope nothing is called") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool called = false;
        bool refused = false;
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          auto f = [&] { called = true; };
          const tests::caught c = co_await tests::catching(parallel_invoke(f, f));
          refused = c.was_cancelled;
        };
        co_await with_task_group(body);
        CHECK(refused);
        CHECK(!called);
      }());
    });
  }
}

}  // namespace parallel_invoke_test

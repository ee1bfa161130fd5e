// SPDX-License-Identifier: MIT
#include "weft/runtime/finally.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>

namespace finally_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::on_both;

namespace {

task<int> number(int n) {
  co_await yield();
  co_return n;
}

task<int> fail() {
  co_await yield();
  throw std::runtime_error("the body's");
  co_return 0;
}

}  // namespace

TEST_SUITE("runtime/finally") {
  TEST_CASE("the clean-up runs after a value, which is given on") {
    on_both([](const run_options& options) {
      bool cleaned = false;
      auto cleanup = [&]() -> task<> {
        co_await yield();
        cleaned = true;
      };
      CHECK(run(options, finally(number(3), cleanup, 1h)) == 3);
      CHECK(cleaned);
    });
  }

  TEST_CASE("the clean-up runs after an exception, which goes on") {
    on_both([](const run_options& options) {
      bool cleaned = false;
      auto cleanup = [&]() -> task<> {
        co_await yield();
        cleaned = true;
        throw std::runtime_error("the clean-up's");
      };
      CHECK_THROWS_WITH_AS(run(options, finally(fail(), cleanup, 1h)), "the body's",
                           std::runtime_error);
      CHECK(cleaned);
    });
  }

  TEST_CASE("the clean-up can await after a cancel, which goes on") {
    on_both([](const run_options& options) {
      bool cleaned = false;
      caught seen;
      auto cleanup = [&]() -> task<> {
        co_await sleep_for(1ms);
        cleaned = true;
      };
      auto body = [&](task_group& group) -> task<> {
        group.cancel();
        seen = co_await catching(finally(sleep_for(1h), cleanup, 1h));
      };
      run(options, with_task_group(body));
      CHECK(cleaned);
      CHECK(seen.was_cancelled);
    });
  }

  TEST_CASE("what escapes the clean-up alone is thrown, also that it took too long") {
    on_both([](const run_options& options) {
      auto failing = []() -> task<> {
        co_await yield();
        throw std::runtime_error("the clean-up's");
      };
      CHECK_THROWS_WITH_AS(run(options, finally(number(3), failing, 1h)), "the clean-up's",
                           std::runtime_error);
      auto slow = []() -> task<> { co_await sleep_for(1h); };
      CHECK(run(options, catching(finally(number(3), slow, 1ms))).was_timeout);
    });
  }
}

}  // namespace finally_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/auto_reset_event.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace auto_reset_event_test {

using namespace weft;
using tests::on_both;

namespace {

task<> wait_and_note(auto_reset_event& e, std::vector<int>& order, int me) {
  co_await e.wait();
  order.push_back(me);
}

}  // namespace

TEST_SUITE("runtime/auto_reset_event") {
  TEST_CASE("each signal lets one task through, in the order of coming") {
    std::vector<int> order;
    run([](std::vector<int>& out) -> task<> {
      auto_reset_event signal;
      auto body = [&](task_group& g) -> task<> {
        for (int i = 0; i < 3; ++i) g.spawn(wait_and_note, std::ref(signal), std::ref(out), i);
        co_await yield();
        signal.set();
        CHECK_FALSE(signal.is_set());
        co_await yield();
        CHECK(out == std::vector<int>{0});
        signal.set();
        signal.set();
      };
      co_await with_task_group(body);
    }(order));
    CHECK(order == std::vector<int>{0, 1, 2});
  }

  TEST_CASE("a signal that nobody waits for lets the next comer through, and one only") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto_reset_event signal;
        CHECK_FALSE(signal.try_wait());
        signal.set();
        signal.set();
        CHECK(signal.is_set());
        co_await signal.wait();
        CHECK_FALSE(signal.is_set());
        signal.set();
        CHECK(signal.try_wait());
        CHECK_FALSE(signal.try_wait());
        signal.set();
        signal.reset();
        CHECK_FALSE(signal.is_set());
      }());
    });
  }

  TEST_CASE("two tasks and a plain thread hand each other every signal") {
    on_both([](const run_options& options) {
      constexpr int rounds = 300;
      auto_reset_event ping;
      auto_reset_event pong;
      std::atomic<int> asked = 0;
      std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
          while (!ping.try_wait()) std::this_thread::yield();
          ++asked;
          pong.set();
        }
      });
      int turns = 0;
      run(options, tests::from_outside(
                       [](auto_reset_event& mine, auto_reset_event& theirs, int& n) -> task<> {
                         for (; n < rounds; ++n) {
                           theirs.set();
                           co_await mine.wait();
                         }
                       }(pong, ping, turns)));
      other.join();
      CHECK(turns == rounds);
      CHECK(asked == rounds);
    });
  }

  TEST_CASE("destroying an auto_reset_event that a task waits for ends the program") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        auto signal = std::make_unique<auto_reset_event>();
        auto body = [&signal](task_group& g) -> task<> {
          g.spawn([](auto_reset_event& e) -> task<> { co_await e.wait(); }, std::ref(*signal));
          co_await yield();
          signal.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("an auto_reset_event was destroyed while tasks wait") != std::string::npos);
  }
}

}  // namespace auto_reset_event_test

// SPDX-License-Identifier: MIT
#include "weft/io/blocking.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace blocking_test {

using namespace weft;
using namespace weft::tests;

namespace {

int add(int a, int b) { return a + b; }

struct counts {
  static inline std::atomic<int> alive = 0;
  counts() { ++alive; }
  counts(const counts&) { ++alive; }
  counts(counts&&) noexcept { ++alive; }
  ~counts() { --alive; }
};

}  // namespace

TEST_SUITE("io/blocking") {
  TEST_CASE("a call runs on another thread and gives its value") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const int sum = co_await blocking(add, 1, 2);
        CHECK(sum == 3);
        const std::thread::id mine = std::this_thread::get_id();
        const bool worker = co_await blocking([] { return detail::current_worker() != nullptr; });
        CHECK_FALSE(worker);
        const std::thread::id other = co_await blocking([] { return std::this_thread::get_id(); });
        CHECK(other != mine);
        int n = 0;
        co_await blocking([](int& target) { target = 7; }, std::ref(n));
        CHECK(n == 7);
        int& same = co_await blocking([](int& target) -> int& { return target; }, std::ref(n));
        CHECK(&same == &n);
        std::unique_ptr<int> moved = std::make_unique<int>(5);
        const std::unique_ptr<int> back =
            co_await blocking([](std::unique_ptr<int> p) { return p; }, std::move(moved));
        CHECK(*back == 5);
        const std::string text = co_await blocking(&std::string::substr, std::string("substring"),
                                                   std::size_t{3}, std::size_t{6});
        CHECK(text == "string");
      }());
    });
  }

  TEST_CASE("an exception of the call is rethrown in the task") {
    on_both([](const run_options& options) {
      const auto fail = [](const std::string& why) -> int { throw std::runtime_error(why); };
      try {
        run(options, blocking(fail, std::string("no luck")));
        FAIL("nothing was thrown");
      } catch (const std::runtime_error& e) {
        CHECK(e.what() == std::string("no luck"));
      }
    });
  }

  TEST_CASE("the function and its arguments live in the frame and end with it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const counts one;
        auto call = [c = counts()](const counts&) { return counts::alive.load(); };
        const int during = co_await blocking(call, one);
        CHECK(during >= 4);
        CHECK(counts::alive == 2);
        { const task<int> never_started = blocking(call, counts()); }
        CHECK(counts::alive == 2);
      }());
      CHECK(counts::alive == 0);
    });
  }

  TEST_CASE("calls run at once, up to the bound") {
    on_both([](run_options options) {
      options.helpers_max = 4;
      run(options, []() -> task<> {
        std::latch all_here(4);
        auto meet = [&] { all_here.arrive_and_wait(); };
        std::vector<task<>> four;
        for (int i = 0; i < 4; ++i) four.push_back(blocking(meet));
        co_await when_all(std::move(four));

        std::atomic<int> running = 0;
        std::atomic<int> most = 0;
        auto count = [&] {
          const int now = ++running;
          int seen = most;
          while (seen < now && !most.compare_exchange_weak(seen, now)) {}
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          --running;
        };
        std::vector<task<>> many;
        for (int i = 0; i < 40; ++i) many.push_back(blocking(count));
        co_await when_all(std::move(many));
        CHECK(most <= 4);
        CHECK(most > 1);
      }());
    });
  }

  TEST_CASE("a queued call is cancelled and never runs, a running one is awaited") {
    on_both([](run_options options) {
      options.helpers_max = 1;
      run(options, []() -> task<> {
        std::atomic<bool> let_go = false;
        std::atomic<bool> begun = false;
        std::atomic<bool> queued_ran = false;
        std::atomic<bool> first_ended = false;
        caught first, second;
        auto running = [&] {
          begun = true;
          while (!let_go) std::this_thread::yield();
          first_ended = true;
        };
        auto queued = [&] { queued_ran = true; };
        auto run_first = [&]() -> task<> { first = co_await catching(blocking(running)); };
        auto run_second = [&]() -> task<> {
          second = co_await catching(blocking(queued));
          CHECK_FALSE(first_ended);  // it did not wait for the helper
          let_go = true;
        };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(run_first);
          while (!begun) co_await yield();
          group.spawn(run_second);
          for (int i = 0; i < 100; ++i) co_await yield();
          group.cancel();
        };
        co_await with_task_group(body);
        CHECK_FALSE(first.was_cancelled);
        CHECK_FALSE(first.code);
        CHECK(second.was_cancelled);
        CHECK_FALSE(queued_ran);
        CHECK(first_ended);
      }());
    });
  }

  TEST_CASE("an await under a stopped scope runs nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool ran = false;
        caught c;
        auto call = [&] { ran = true; };
        auto body = [&](task_group& group) -> task<> {
          group.cancel();
          c = co_await catching(blocking(call));
        };
        co_await with_task_group(body);
        CHECK(c.was_cancelled);
        CHECK_FALSE(ran);
      }());
    });
  }

  TEST_CASE("other tasks run while a call blocks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<bool> let_go = false;
        auto wait = [&] {
          while (!let_go) std::this_thread::yield();
        };
        auto release = [&]() -> task<> {
          for (int i = 0; i < 10; ++i) co_await yield();
          let_go = true;
        };
        co_await when_all(blocking(wait), release());
      }());
    });
  }

  TEST_CASE("ten thousand calls from many tasks all come back") {
    on_both([](run_options options) {
      options.helpers_max = 3;
      run(options, []() -> task<> {
        auto caller = []() -> task<int> {
          int sum = 0;
          for (int i = 0; i < 500; ++i) sum += co_await blocking(add, i, 1);
          co_return sum;
        };
        std::vector<task<int>> callers;
        for (int i = 0; i < 20; ++i) callers.push_back(caller());
        const std::vector<int> sums = co_await when_all(std::move(callers));
        CHECK(std::count(sums.begin(), sums.end(), 500 * 499 / 2 + 500) == 20);
      }());
    });
  }
}

}  // namespace blocking_test

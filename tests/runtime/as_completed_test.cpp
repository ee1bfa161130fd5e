// SPDX-License-Identifier: MIT
#include "weft/runtime/as_completed.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/pipeline.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace as_completed_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::counted;
using tests::dying_words;
using tests::on_both;

namespace {

task<int> after(event& e, int value) {
  co_await e.wait();
  co_return value;
}

task<int> at_once(int value) { co_return value; }

task<int> fail() {
  co_await yield();
  throw std::runtime_error("task");
}

/// Waits for a stop; notes that it came, and that its frame went.
task<int> until_stopped(std::atomic<int>& stops, counted) {
  const result<void> slept = co_await as_result(sleep_for(1h));
  if (!slept) ++stops;
  throw cancelled();
}

template <class T>
task<std::vector<T>> all_of(async_generator<T> source) {
  std::vector<T> got;
  auto keep = [&got](T value) { got.push_back(std::move(value)); };
  co_await for_each(std::move(source), keep);
  co_return got;
}

}  // namespace

TEST_SUITE("runtime/as_completed") {
  TEST_CASE("values come in the order in which the tasks end, not in that of the list") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event events[4];
        std::vector<task<int>> tasks;
        for (int i = 0; i < 4; ++i) tasks.push_back(after(events[i], i));
        auto values = as_completed(std::move(tasks));
        std::vector<int> got;
        for (const std::size_t i : {2u, 0u, 3u, 1u}) {
          events[i].set();
          auto value = co_await values.next();
          got.push_back(*value);
        }
        CHECK(got == std::vector{2, 0, 3, 1});
        auto end = co_await values.next();
        CHECK_FALSE(end);
      }());
    });
  }

  TEST_CASE("all values come through for_each and pipelines, each once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 1000; ++i) tasks.push_back(at_once(i));
        auto twice = [](int n) { return 2 * n; };
        const std::vector<int> got =
            co_await all_of(as_completed(std::move(tasks)) | transform(twice));
        CHECK(got.size() == 1000);
        long sum = 0;
        for (const int n : got) sum += n;
        CHECK(sum == 999 * 1000);
      }());
    });
  }

  TEST_CASE("nothing starts before the first value is asked for") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> begun = 0;
        auto begins = [&begun](counted) -> task<> {
          ++begun;
          co_return;
        };
        auto values = as_completed(begins(counted(1)), begins(counted(2)));
        co_await yield();
        CHECK(begun == 0);
        CHECK(counted::alive() == 2);
        co_await values.close();
        auto end = co_await values.next();
        CHECK_FALSE(end);
        CHECK(begun == 0);
      }());
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("a few tasks, operations and handles of one type are taken as they are") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::size_t ended = 0;
        int sum = 0;
        auto body = [&](task_group& group) -> task<> {
          auto sleeps = as_completed(sleep_for(1ms), yield(), []() -> task<> { co_return; }());
          auto count = [&ended](std::monostate) { ++ended; };
          co_await for_each(std::move(sleeps), count);
          join_handle<int> handle = group.spawn(at_once, 3);
          auto add = [&sum](int n) { sum += n; };
          co_await for_each(as_completed(at_once(1), std::move(handle), at_once(5)), add);
        };
        co_await with_task_group(body);
        CHECK(ended == 3);
        CHECK(sum == 9);
        auto nothing = as_completed(std::vector<task<int>>());
        auto end = co_await nothing.next();
        CHECK_FALSE(end);
      }());
    });
  }

  TEST_CASE("values that only move come out, and a task's frame goes with its value") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto box = [](int n, counted) -> task<std::unique_ptr<int>> {
          co_return std::make_unique<int>(n);
        };
        auto values = as_completed(box(1, counted()), box(2, counted()), box(3, counted()));
        int sum = 0;
        for (int left = 2; left >= 0; --left) {
          auto value = co_await values.next();
          sum += **value;
        }
        auto end = co_await values.next();
        CHECK_FALSE(end);
        CHECK(counted::alive() == 0);
        CHECK(sum == 6);
      }());
    });
  }

  TEST_CASE("a failure comes in its turn, after it the others are stopped and joined") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> stops = 0;
        event first;
        event second;
        auto failing = [](event& e) -> task<int> {
          co_await e.wait();
          throw std::runtime_error("task");
        };
        std::vector<task<int>> tasks;
        tasks.push_back(failing(second));
        tasks.push_back(after(first, 1));
        tasks.push_back(until_stopped(stops, counted()));
        auto values = as_completed(std::move(tasks));
        first.set();
        auto value = co_await values.next();
        CHECK(value == 1);
        CHECK(stops == 0);
        second.set();
        std::string what;
        try {
          (void)co_await values.next();
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "task");
        CHECK(stops == 1);
        auto end = co_await values.next();
        CHECK_FALSE(end);
      }());
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("tasks that give results all come to their end") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto world = []() -> task<int> {
          co_await yield();
          throw std::system_error(std::make_error_code(std::errc::host_unreachable));
        };
        auto quietly = [](task<int> t) -> task<result<int>> {
          result<int> r = co_await as_result(std::move(t));
          co_return r;
        };
        int failed = 0;
        int sum = 0;
        auto look = [&](result<int> r) {
          if (r)
            sum += *r;
          else
            ++failed;
        };
        co_await for_each(as_completed(quietly(world()), quietly(at_once(2)), quietly(world())),
                          look);
        CHECK(failed == 2);
        CHECK(sum == 2);
      }());
    });
  }

  TEST_CASE("closing, taking fewer and failing bodies cancel and join what is left") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> stops = 0;
        auto three = [&stops]() {
          return as_completed(until_stopped(stops, counted()), at_once(1),
                              until_stopped(stops, counted()));
        };
        auto closed = three();
        auto value = co_await closed.next();
        CHECK(value == 1);
        co_await closed.close();
        CHECK(stops == 2);
        const std::vector<int> one = co_await all_of(three() | take(1));
        CHECK(one == std::vector{1});
        CHECK(stops == 4);
        auto fails = [](int) { throw std::runtime_error("body"); };
        std::string what;
        try {
          co_await for_each(three(), fails);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "body");
        CHECK(stops == 6);
      }());
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("a cancelled next cancels and joins the tasks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> stops = 0;
        bool was_cancelled = false;
        auto body = [&](task_group& group) -> task<> {
          event waits;
          auto consumer = [&]() -> task<> {
            auto values = as_completed(until_stopped(stops, counted()), at_once(1),
                                       until_stopped(stops, counted()));
            (void)co_await values.next();
            waits.set();
            const caught c = co_await catching(values.next());
            was_cancelled = c.was_cancelled && stops == 2;
          };
          group.spawn(consumer);
          co_await waits.wait();
          group.cancel();
        };
        co_await with_task_group(body);
        CHECK(was_cancelled);
      }());
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("a stop that races with the ends of the tasks loses no frame") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 200; ++round) {
          auto body = [&](task_group& group) -> task<> {
            auto slow = [](int turns, counted) -> task<int> {
              for (int i = 0; i < turns; ++i) co_await yield();
              co_return turns;
            };
            auto consumer = [&]() -> task<> {
              std::vector<task<int>> tasks;
              for (int i = 0; i < 6; ++i) tasks.push_back(slow(i, counted()));
              auto drop = [](int) {};
              co_await for_each(as_completed(std::move(tasks)), drop);
            };
            group.spawn(consumer);
            for (int i = 0; i < round % 10; ++i) co_await yield();
            group.cancel();
          };
          co_await with_task_group(body);
          CHECK(counted::alive() == 0);
        }
      }());
    });
  }

  TEST_CASE("destroying it before its end ends the program with its name") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        auto values = as_completed(at_once(1), fail());
        (void)co_await values.next();
      }());
    });
    CHECK(said.find("completed") != std::string::npos);
    CHECK(said.find("for_each") != std::string::npos);
  }
}

}  // namespace as_completed_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/merge.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/pipeline.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace merge_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::counted;
using tests::dying_words;
using tests::on_both;

namespace {

async_generator<int> numbers(int from, int count) {
  for (int i = 0; i < count; ++i) {
    co_await yield();
    co_yield from + i;
  }
}

/// One value each time that the event is set.
async_generator<int> on_event(event& e, int value) {
  for (;;) {
    co_await e.wait();
    e.reset();
    co_yield value;
  }
}

/// Waits for ever; notes that its clean-up has awaited.
async_generator<int> silent(std::atomic<int>& cleaned) {
  co_await this_generator::needs_close();
  std::exception_ptr why;
  try {
    for (int i = 0;; ++i) {
      if (i != 0) co_await sleep_for(1h);
      co_yield i;
    }
  } catch (...) {
    why = std::current_exception();
  }
  ++cleaned;
  std::rethrow_exception(why);
}

template <class T>
task<std::vector<T>> all_of(async_generator<T> source) {
  std::vector<T> got;
  auto keep = [&got](T value) { got.push_back(std::move(value)); };
  co_await for_each(std::move(source), keep);
  co_return got;
}

}  // namespace

TEST_SUITE("runtime/merge") {
  TEST_CASE("merge gives all values of all sources, each source in its order, and ends with them") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<int> got =
            co_await all_of(merge(numbers(0, 100), numbers(1000, 50), numbers(2000, 0)));
        CHECK(got.size() == 150);
        std::vector<int> low;
        std::vector<int> high;
        for (const int n : got) (n < 1000 ? low : high).push_back(n);
        CHECK(low.size() == 100);
        CHECK(std::is_sorted(low.begin(), low.end()));
        CHECK(std::is_sorted(high.begin(), high.end()));
      }());
    });
  }

  TEST_CASE("values come in the order in which they are there, not in that of the sources") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event one;
        event two;
        auto both = merge(on_event(one, 1), on_event(two, 2));
        std::vector<int> got;
        for (event* e : {&two, &one, &one, &two}) {
          e->set();
          auto x = co_await both.next();
          got.push_back(*x);
        }
        CHECK(got == std::vector{2, 1, 1, 2});
        co_await both.close();
      }());
    });
  }

  TEST_CASE("merge takes any number of sources in a vector, and values that cannot be copied") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<async_generator<int>> many;
        for (int i = 0; i < 20; ++i) many.push_back(numbers(i, 1));
        auto box = [](int n) { return std::make_unique<int>(n); };
        int sum = 0;
        auto add = [&sum](std::unique_ptr<int> p) { sum += *p; };
        auto boxes = merge(std::move(many)) | transform(box);
        co_await for_each(std::move(boxes), add);
        CHECK(sum == 190);
        auto nothing = merge(std::vector<async_generator<int>>());
        auto end = co_await nothing.next();
        CHECK_FALSE(end);
      }());
    });
  }

  TEST_CASE("no source is ahead by more than one value") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> made = 0;
        auto source = [](std::atomic<int>& n) -> async_generator<int> {
          for (;;) co_yield ++n;
        };
        auto both = merge(source(made), numbers(0, 0));
        (void)co_await both.next();
        co_await sleep_for(1ms);
        CHECK(made <= 2);
        co_await both.close();
      }());
    });
  }

  TEST_CASE("closing cancels the sources where they wait, and lets their clean-up await") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cleaned = 0;
        auto both = merge(silent(cleaned), silent(cleaned), numbers(0, 1'000'000));
        (void)co_await both.next();
        (void)co_await both.next();
        (void)co_await both.next();
        co_await both.close();
        CHECK(cleaned == 2);
        auto end = co_await both.next();
        CHECK_FALSE(end);
      }());
    });
  }

  TEST_CASE("closing before the first value closes a source that had begun") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cleaned = 0;
        auto begun = silent(cleaned);
        (void)co_await begun.next();
        auto both = merge(std::move(begun), numbers(0, 1));
        co_await both.close();
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("take ends the sources of a merge") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cleaned = 0;
        const std::vector<int> got =
            co_await all_of(merge(silent(cleaned), numbers(1, 1'000'000)) | take(50));
        CHECK(got.size() == 50);
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("a source that fails ends the others, and its failure comes out of next") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cleaned = 0;
        auto failing = []() -> async_generator<int> {
          co_yield 1;
          throw std::runtime_error("source");
        };
        std::string what;
        try {
          (void)co_await all_of(merge(silent(cleaned), failing()));
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "source");
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("a cancelled next ends a merge and its sources") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cleaned = 0;
        bool was_cancelled = false;
        auto body = [&](task_group& g) -> task<> {
          event waits;
          auto child = [&]() -> task<> {
            auto both = merge(silent(cleaned), silent(cleaned));
            (void)co_await both.next();
            (void)co_await both.next();
            waits.set();
            const caught c = co_await catching(both.next());
            was_cancelled = c.was_cancelled;
          };
          g.spawn(child);
          co_await waits.wait();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(was_cancelled);
        CHECK(cleaned == 2);
      }());
    });
  }

  TEST_CASE("destroying a merge before its end ends the program with its name") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        auto both = merge(numbers(0, 10), numbers(0, 10));
        (void)co_await both.next();
      }());
    });
    CHECK(said.find("merge") != std::string::npos);
    CHECK(said.find("for_each") != std::string::npos);
  }
}

}  // namespace merge_test

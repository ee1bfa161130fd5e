// SPDX-License-Identifier: MIT
#include "weft/runtime/pipeline.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace pipeline_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::dying_words;
using tests::on_both;

namespace {

/// Counts the values that it was asked for.
async_generator<int> numbers(int count, int* asked = nullptr) {
  for (int i = 0; i < count; ++i) {
    if (asked != nullptr) ++*asked;
    co_yield i;
  }
}

/// Without an end, and with a clean-up that awaits.
async_generator<int> cleaned_numbers(int& cleaned) {
  co_await this_generator::needs_close();
  std::exception_ptr why;
  try {
    for (int i = 0;; ++i) co_yield i;
  } catch (...) {
    why = std::current_exception();
  }
  co_await yield();
  ++cleaned;
  std::rethrow_exception(why);
}

constexpr auto is_even = [](int n) { return n % 2 == 0; };
constexpr auto square = [](int n) { return n * n; };

template <class T>
task<std::vector<T>> all_of(async_generator<T> source) {
  std::vector<T> got;
  auto keep = [&got](T&& value) { got.push_back(std::move(value)); };
  co_await for_each(std::move(source), keep);
  co_return got;
}

}  // namespace

TEST_SUITE("runtime/pipeline") {
  TEST_CASE("values go through the stages in the order in which they are written") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<int> got =
            co_await all_of(numbers(10) | filter(is_even) | transform(square) | take(3));
        CHECK(got == std::vector{0, 4, 16});
        const std::vector<std::string> texts =
            co_await all_of(numbers(3) | transform([](int n) { return std::to_string(n); }));
        CHECK(texts == std::vector<std::string>{"0", "1", "2"});
      }());
    });
  }

  TEST_CASE("the functions of the stages may be tasks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto slowly_even = [](int n) -> task<bool> {
          co_await yield();
          co_return n % 2 == 0;
        };
        auto slow_square = [](int n) -> task<int> {
          co_await sleep_for(1us);
          co_return n* n;
        };
        int sum = 0;
        auto add = [&sum](int n) -> task<> {
          co_await yield();
          sum += n;
        };
        co_await for_each(numbers(5) | filter(slowly_even) | transform(slow_square), add);
        CHECK(sum == 20);
      }());
    });
  }

  TEST_CASE("nothing is read ahead, and take does not ask for more than it gives") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int asked = 0;
        auto three = numbers(10, &asked) | filter(is_even) | take(3);
        CHECK(asked == 0);
        (void)co_await three.next();
        CHECK(asked == 1);
        (void)co_await three.next();
        (void)co_await three.next();
        CHECK(asked == 5);
        auto end = co_await three.next();
        CHECK_FALSE(end);
        CHECK(asked == 5);
        const std::vector<int> none = co_await all_of(numbers(10, &asked) | take(0));
        CHECK(none.empty());
        CHECK(asked == 5);
      }());
    });
  }

  TEST_CASE("a stage moves what cannot be copied, and refers where its source refers") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto box = [](int n) { return std::make_unique<int>(n); };
        auto is_one = [](const std::unique_ptr<int>& p) { return *p == 1; };
        int sum = 0;
        auto add = [&sum](std::unique_ptr<int> p) { sum += *p; };
        co_await for_each(numbers(3) | transform(box) | filter(is_one) | take(1), add);
        CHECK(sum == 1);
        int n = 1;
        auto same = [](int& k) -> async_generator<int&> {
          co_yield k;
          co_yield k;
        }(n);
        auto twice = std::move(same) | filter([](const int& k) { return k > 0; }) | take(2);
        while (int* p = co_await twice.next()) *p += 1;
        CHECK(n == 3);
      }());
    });
  }

  TEST_CASE("a stage may be used for several pipelines") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const auto evens = filter(is_even);
        const std::vector<int> a = co_await all_of(numbers(3) | evens);
        const std::vector<int> b = co_await all_of(numbers(5) | evens);
        CHECK(a == std::vector{0, 2});
        CHECK(b == std::vector{0, 2, 4});
      }());
    });
  }

  TEST_CASE("a pipeline destroyed between two values destroys what is in its frames") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto source = []() -> async_generator<counted> {
          const counted local(1);
          for (int i = 0;; ++i) co_yield counted(i);
        };
        {
          auto all = source() | filter([](const counted& c) { return c.number > 1; }) | take(5);
          auto first = co_await all.next();
          CHECK(first->number == 2);
        }
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("closing a pipeline closes its source, and so does its end") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        auto squares = cleaned_numbers(cleaned) | filter(is_even) | transform(square);
        auto first = co_await squares.next();
        CHECK(*first == 0);
        co_await squares.close();
        CHECK(cleaned == 1);
        const std::vector<int> two = co_await all_of(cleaned_numbers(cleaned) | take(2));
        CHECK(two == std::vector{0, 1});
        CHECK(cleaned == 2);
      }());
    });
  }

  TEST_CASE("closing a pipeline that was never asked closes a source that was") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        auto source = cleaned_numbers(cleaned);
        (void)co_await source.next();
        auto rest = std::move(source) | transform(square) | take(3) | filter(is_even);
        co_await rest.close();
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("a stage that fails closes its source before it throws") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        int cleaned_at_throw = -1;
        auto fail = [](int) -> int { throw std::runtime_error("stage"); };
        auto failing = cleaned_numbers(cleaned) | transform(fail);
        std::string what;
        try {
          (void)co_await failing.next();
        } catch (const std::runtime_error& e) {
          what = e.what();
          cleaned_at_throw = cleaned;
        }
        CHECK(what == "stage");
        CHECK(cleaned_at_throw == 1);
      }());
    });
  }

  TEST_CASE("for_each closes the generator when its body throws, and throws that") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        auto fail_at_two = [](int n) {
          if (n == 2) throw std::runtime_error("body");
        };
        std::string what;
        try {
          co_await for_each(cleaned_numbers(cleaned), fail_at_two);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "body");
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("for_each closes the generator when it is cancelled in its body") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool closed = false;
        auto source = [](bool& flag) -> async_generator<int> {
          co_await this_generator::needs_close();
          try {
            for (;;) co_yield 1;
          } catch (const generator_closed&) {
            flag = true;
          }
        };
        auto body = [&](task_group& g) -> task<> {
          event reached;
          auto wait = [&reached](int) -> task<> {
            reached.set();
            co_await sleep_for(1h);
          };
          g.spawn([&]() -> task<> { co_await for_each(source(closed), wait); });
          co_await reached.wait();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(closed);
      }());
    });
  }

  TEST_CASE("what the body throws goes before what closing throws") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto source = []() -> async_generator<int> {
          try {
            co_yield 1;
          } catch (const generator_closed&) {}
          throw std::runtime_error("clean-up");
        };
        auto fail = [](int) { throw std::runtime_error("body"); };
        std::string what;
        try {
          co_await for_each(source(), fail);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "body");
      }());
    });
  }

  TEST_CASE("destroying a pipeline whose source has to be closed ends the program with its name") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        int cleaned = 0;
        auto squares = cleaned_numbers(cleaned) | transform(square);
        (void)co_await squares.next();
      }());
    });
    CHECK(said.find("cleaned_numbers") != std::string::npos);
    CHECK(said.find("for_each") != std::string::npos);
  }
}

}  // namespace pipeline_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/async_generator.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "support/stack_use.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace async_generator_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::dying_words;
using tests::on_both;

namespace {

async_generator<int> numbers(int count) {
  for (int i = 0; i < count; ++i) co_yield i;
}

/// Waits in every way before its values.
async_generator<int> awaited_numbers() {
  co_await yield();
  co_yield 0;
  auto [one, two] = co_await when_all([]() -> task<int> { co_return 1; }(), sleep_for(1ms));
  (void)two;
  co_yield one;
  int sum = 0;
  auto body = [&sum](task_group& g) -> task<> {
    g.spawn([&sum]() -> task<> {
      sum = 2;
      co_return;
    });
    co_return;
  };
  co_await with_task_group(body);
  co_yield sum;
}

async_generator<counted> three_counted() {
  const counted local(7);
  co_yield counted(1);
  co_yield counted(2);
  co_yield local;
}

async_generator<std::unique_ptr<int>> boxes() {
  co_yield std::make_unique<int>(1);
  auto named = std::make_unique<int>(2);
  co_yield std::move(named);
}

async_generator<int&> twice(int& n) {
  co_yield n;
  co_yield n;
}

async_generator<int> fail_after(int count) {
  for (int i = 0; i < count; ++i) co_yield i;
  throw std::runtime_error("from the body");
}

async_generator<int> wait_for(event& e) {
  const counted local(1);
  co_yield 0;
  co_await e.wait();
  co_yield 1;
}

/// Notes that its clean-up, which awaits, has run to its end.
async_generator<int> with_clean_up(int& cleaned) {
  co_await this_generator::needs_close();
  std::exception_ptr why;
  try {
    for (int i = 0;; ++i) co_yield i;
  } catch (...) {
    why = std::current_exception();
  }
  co_await sleep_for(1ms);
  ++cleaned;
  std::rethrow_exception(why);
}

}  // namespace

TEST_SUITE("runtime/async_generator") {
  TEST_CASE("next gives the values in order, then nothing again and again") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = numbers(3);
        std::vector<int> got;
        while (auto x = co_await gen.next()) got.push_back(*x);
        CHECK(got == std::vector{0, 1, 2});
        for (int i = 0; i < 1000; ++i) {
          auto more = co_await gen.next();
          CHECK_FALSE(more);
        }
      }());
    });
  }

  TEST_CASE("a generator awaits operations, combinators and groups between its values") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = awaited_numbers();
        std::vector<int> got;
        while (auto x = co_await gen.next()) got.push_back(*x);
        CHECK(got == std::vector{0, 1, 2});
      }());
    });
  }

  TEST_CASE("a generator does nothing before it is asked, and frees what it was given") {
    const std::int64_t frames = detail::live_frame_bytes();
    bool ran = false;
    {
      auto gen = [](bool& flag, counted) -> async_generator<int> {
        flag = true;
        co_yield 1;
      }(ran, counted(1));
      CHECK(static_cast<bool>(gen));
      CHECK(counted::alive() == 1);
      const auto moved = std::move(gen);
      CHECK_FALSE(static_cast<bool>(gen));
    }
    CHECK_FALSE(ran);
    CHECK(counted::alive() == 0);
    CHECK(detail::live_frame_bytes() == frames);
  }

  TEST_CASE("each yielded object is destroyed once, rvalues are moved and lvalues copied") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = three_counted();
        std::vector<int> got;
        while (auto x = co_await gen.next()) got.push_back(x->number);
        CHECK(got == std::vector{1, 2, 7});
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("a value that cannot be copied is moved out") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = boxes();
        int sum = 0;
        while (auto x = co_await gen.next()) sum += **x;
        CHECK(sum == 3);
      }());
    });
  }

  TEST_CASE("next of a generator of references points at the object, and at nothing in the end") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int n = 0;
        auto gen = twice(n);
        while (int* p = co_await gen.next()) {
          CHECK(p == &n);
          ++*p;
        }
        CHECK(n == 2);
        int* end = co_await gen.next();
        CHECK(end == nullptr);
      }());
    });
  }

  TEST_CASE("a reference to const may refer to a temporary of the body") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = []() -> async_generator<const std::string&> {
          co_yield std::string("a text that is long enough to lie on the heap");
        }();
        const std::string* text = co_await gen.next();
        CHECK(text->size() == 45);
      }());
    });
  }

  TEST_CASE("what escapes the body comes out of next, and ends the generator") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const int count : {0, 2}) {
          auto gen = fail_after(count);
          int got = 0;
          std::string what;
          try {
            while (auto x = co_await gen.next()) ++got;
          } catch (const std::runtime_error& e) {
            what = e.what();
          }
          CHECK(got == count);
          CHECK(what == "from the body");
          auto end = co_await gen.next();
          CHECK_FALSE(end);
        }
      }());
    });
  }

  TEST_CASE("as_result gives a failure of the world as a value") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = []() -> async_generator<int> {
          co_yield 1;
          throw std::system_error(std::make_error_code(std::errc::message_size));
        }();
        auto first = co_await as_result(gen.next());
        CHECK(**first == 1);
        auto second = co_await as_result(gen.next());
        CHECK(second.error() == std::errc::message_size);
      }());
    });
  }

  TEST_CASE("a generator destroyed at a co_yield destroys its locals and its frame") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::int64_t frames = detail::live_frame_bytes();
        for (int values = 1; values <= 3; ++values) {
          auto gen = three_counted();
          for (int i = 0; i < values; ++i) (void)co_await gen.next();
          CHECK(counted::alive() > 0);
          gen = three_counted();
          CHECK(counted::alive() == 0);
        }
        CHECK(detail::live_frame_bytes() == frames);
      }());
    });
  }

  TEST_CASE("a generator suspended at a co_yield may be destroyed on a plain thread") {
    std::optional<async_generator<counted>> gen(three_counted());
    run([](async_generator<counted>& g) -> task<> { (void)co_await g.next(); }(*gen));
    std::thread([&gen] { gen.reset(); }).join();
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("a generator goes from task to task, and each cancels its own next") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event e;
        auto gen = wait_for(e);
        auto first = [&gen](task_group& g) -> task<> {
          g.spawn([&gen]() -> task<> { (void)co_await gen.next(); });
          co_return;
        };
        co_await with_task_group(first);
        CHECK(counted::alive() == 1);
        bool was_cancelled = false;
        auto second = [&](task_group& g) -> task<> {
          auto child = [&]() -> task<> {
            try {
              (void)co_await gen.next();
            } catch (const cancelled&) {
              was_cancelled = true;
            }
          };
          g.spawn(child);
          co_await sleep_for(1ms);
          g.cancel();
        };
        co_await with_task_group(second);
        CHECK(was_cancelled);
        CHECK(counted::alive() == 0);
        auto end = co_await gen.next();
        CHECK_FALSE(end);
      }());
    });
  }

  TEST_CASE("a body that catches a cancel goes on under its next awaiter") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event e;
        auto gen = [](event& what) -> async_generator<int> {
          for (int i = 0;; ++i) {
            auto waited = co_await as_result(what.wait());
            co_yield waited ? i : -1;
          }
        }(e);
        int during = 0;
        auto body = [&](task_group& g) -> task<> {
          auto child = [&]() -> task<> {
            auto x = co_await gen.next();
            during = *x;
          };
          g.spawn(child);
          co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(during == -1);
        e.set();
        auto after = co_await gen.next();
        CHECK(*after == 1);
      }());
    });
  }

  TEST_CASE("next is an argument of when_all") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto left = numbers(1);
        auto right = awaited_numbers();
        auto [a, b] = co_await when_all(left.next(), right.next());
        CHECK(*a == 0);
        CHECK(*b == 0);
      }());
    });
  }

  TEST_CASE("a million values that are ready do not use up a small stack") {
    const tests::default_stack_size small(256 * 1024);
    on_both([](const run_options& options) {
      std::thread([&options] {
        run(options, []() -> task<> {
          tests::stack_use stack;
          stack.paint();
          std::int64_t sum = 0;
          auto gen = numbers(1'000'000);
          while (auto x = co_await gen.next()) sum += *x;
          const std::size_t used = stack.bytes();
          CHECK(sum == 499'999'500'000);
          CHECK(used < 64 * 1024);
        }());
      }).join();
    });
  }

  TEST_CASE("a generator that never waits lets other tasks run") {
    on_both([](const run_options& options) {
      std::atomic<bool> others_ran = false;
      // On a pool the other worker may have taken the task, and be held up.
      const int enough = options.workers == 1 ? 1'000'000 : 50'000'000;
      run(options, [](std::atomic<bool>& flag, int most) -> task<> {
        auto body = [&flag, most](task_group& g) -> task<> {
          g.spawn([&flag]() -> task<> {
            flag = true;
            co_return;
          });
          auto gen = numbers(most);
          while (auto x = co_await gen.next())
            if (flag) co_return;
          FAIL_CHECK("all values came without a pause");
        };
        co_await with_task_group(body);
      }(others_ran, enough));
    });
  }

  TEST_CASE("so does a task that asks a generator that has ended") {
    run([]() -> task<> {
      bool others_ran = false;
      auto body = [&others_ran](task_group& g) -> task<> {
        auto gen = numbers(0);
        (void)co_await gen.next();
        g.spawn([&others_ran]() -> task<> {
          others_ran = true;
          co_return;
        });
        for (int i = 0; i < 1'000'000 && !others_ran; ++i) (void)co_await gen.next();
        CHECK(others_ran);
      };
      co_await with_task_group(body);
    }());
  }

  TEST_CASE("close throws generator_closed out of the co_yield, and waits for the clean-up") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        auto gen = with_clean_up(cleaned);
        (void)co_await gen.next();
        co_await gen.close();
        CHECK(cleaned == 1);
        co_await gen.close();
        auto end = co_await gen.next();
        CHECK_FALSE(end);
        CHECK(cleaned == 1);
      }());
    });
  }

  TEST_CASE("close runs the destructors of a generator without clean-up") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = three_counted();
        (void)co_await gen.next();
        co_await gen.close();
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("close of a generator that was never started runs nothing of it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int cleaned = 0;
        auto gen = with_clean_up(cleaned);
        co_await gen.close();
        auto end = co_await gen.next();
        CHECK_FALSE(end);
        CHECK(cleaned == 0);
      }());
    });
  }

  TEST_CASE("a body may return after generator_closed, and what it throws comes out of close") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](bool fails) -> async_generator<int> {
          try {
            co_yield 1;
          } catch (const generator_closed&) {}
          if (fails) throw std::runtime_error("cleaning failed");
        };
        auto returns = body(false);
        (void)co_await returns.next();
        co_await returns.close();
        auto fails = body(true);
        (void)co_await fails.next();
        std::string what;
        try {
          co_await fails.close();
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "cleaning failed");
      }());
    });
  }

  TEST_CASE("a generator that needs to be closed may end by itself") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto gen = []() -> async_generator<int> {
          co_await this_generator::needs_close();
          co_yield 1;
        }();
        int sum = 0;
        while (auto x = co_await gen.next()) sum += *x;
        CHECK(sum == 1);
      }());
    });
  }

  TEST_CASE("destroying a generator that has to be closed ends the program with its name") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        int cleaned = 0;
        auto gen = with_clean_up(cleaned);
        (void)co_await gen.next();
      }());
    });
    CHECK(said.find("async_generator_test.cpp:") != std::string::npos);
    CHECK(said.find("with_clean_up") != std::string::npos);
    CHECK(said.find("its close()") != std::string::npos);
  }

  TEST_CASE("destroying a generator while a task awaits its value ends the program with its name") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        event never;
        std::optional gen = wait_for(never);
        (void)co_await gen->next();
        auto body = [&gen](task_group& g) -> task<> {
          g.spawn([&gen]() -> task<> { (void)co_await gen->next(); });
          co_await sleep_for(1ms);
          gen.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("async_generator_test.cpp:") != std::string::npos);
    CHECK(said.find("wait_for") != std::string::npos);
    CHECK(said.find("while a task awaits a value of it") != std::string::npos);
  }

  TEST_CASE("asking a generator for two values at a time ends the program and says why") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        event never;
        auto gen = wait_for(never);
        (void)co_await gen.next();
        co_await when_all(gen.next(), gen.next());
      }());
    });
    CHECK(said.find("wait_for") != std::string::npos);
    CHECK(said.find("while another task awaits") != std::string::npos);
  }

  TEST_CASE("yielding after generator_closed ends the program and says what to do") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        auto gen = []() -> async_generator<int> {
          for (int i = 0;; ++i) {
            try {
              co_yield i;
            } catch (...) {}
          }
        }();
        (void)co_await gen.next();
        co_await gen.close();
      }());
    });
    CHECK(said.find("went on yielding after generator_closed") != std::string::npos);
  }

  TEST_CASE("asking a generator that was moved from ends the program and says why") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        auto gen = numbers(1);
        const auto owner = std::move(gen);
        (void)co_await gen.next();
      }());
    });
    CHECK(said.find("it was moved from") != std::string::npos);
  }
}

}  // namespace async_generator_test

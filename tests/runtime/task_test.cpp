// SPDX-License-Identifier: MIT
#include "weft/runtime/task.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "support/stack_use.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace task_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::dying_words;
using tests::on_both;

namespace {

task<int> number(int n) { co_return n; }

// Not inlined: it has a frame.
[[gnu::noinline]] task<> end_at_once(counted, std::string) { co_return; }

task<> wait_for_ever(event& never) { co_await never.wait(); }

task<> set_flag(bool& flag) {
  flag = true;
  co_return;
}

task<int&> refer_to(int& n) { co_return n; }

task<std::unique_ptr<int>> boxed(int n) { co_return std::make_unique<int>(n); }

task<int> throw_it(std::string what) {
  throw std::runtime_error(what);
  co_return 0;
}

struct throws_when_moved {
  throws_when_moved() = default;
  throws_when_moved(const throws_when_moved&) {}
  throws_when_moved(throws_when_moved&&) { throw std::runtime_error("moved"); }
};

struct throws_when_copied {
  throws_when_copied() = default;
  throws_when_copied(const throws_when_copied&) { throw std::runtime_error("copied"); }
};

task<> takes(throws_when_copied, counted) { co_return; }

struct alignas(64) wide {
  std::byte bytes[64];
};

task<> deep(int levels) {
  if (levels != 0) {
    co_await deep(levels - 1);
  }
}

task<int> deep_failure(int levels) {
  if (levels == 0) {
    throw std::runtime_error("from the bottom");
  }
  co_return co_await deep_failure(levels - 1);
}

/// One level is two awaits deep: an argument of when_all, and the task below it.
task<> deep_in_when_all(int levels) {
  if (levels != 0) {
    co_await when_all(deep_in_when_all(levels - 1), number(levels));
  }
}

}  // namespace

TEST_SUITE("runtime/task") {
  TEST_CASE("a task gives its value to whoever awaits it") {
    on_both([](const run_options& options) {
      const int sum = run(options, []() -> task<int> {
        const int a = co_await number(2);
        task<int> named = number(3);
        const int b = co_await std::move(named);
        co_return a + b;
      }());
      CHECK(sum == 5);
    });
  }

  TEST_CASE("a task without a value runs when it is awaited") {
    on_both([](const run_options& options) {
      bool ran = false;
      run(options, [](bool& flag) -> task<> { co_await set_flag(flag); }(ran));
      CHECK(ran);
    });
  }

  TEST_CASE("a task can give a reference to what it was given") {
    on_both([](const run_options& options) {
      int n = 1;
      int& same = run(options, [](int& k) -> task<int&> {
        int& inner = co_await refer_to(k);
        inner = 2;
        co_return inner;
      }(n));
      CHECK(&same == &n);
      CHECK(n == 2);
    });
  }

  TEST_CASE("a move-only value goes through several tasks") {
    on_both([](const run_options& options) {
      const std::unique_ptr<int> p = run(options, []() -> task<std::unique_ptr<int>> {
        std::unique_ptr<int> inner = co_await boxed(7);
        ++*inner;
        co_return inner;
      }());
      CHECK(*p == 8);
    });
  }

  TEST_CASE("an exception goes to whoever awaits the task") {
    on_both([](const run_options& options) {
      const std::string caught = run(options, []() -> task<std::string> {
        try {
          (void)co_await throw_it("first");
        } catch (const std::runtime_error& e) {
          co_return e.what();
        }
        co_return "nothing";
      }());
      CHECK(caught == "first");
      CHECK_THROWS_WITH_AS(run(options, throw_it("second")), "second", std::runtime_error);
    });
  }

  TEST_CASE("a value whose move throws becomes an exception of its task") {
    on_both([](const run_options& options) {
      CHECK_THROWS_WITH_AS(run(options,
                               []() -> task<> {
                                 (void)co_await []() -> task<throws_when_moved> {
                                   co_return throws_when_moved();
                                 }();
                               }()),
                           "moved", std::runtime_error);
    });
  }

  TEST_CASE("a task does nothing before it is awaited") {
    bool ran = false;
    {
      task<> t = set_flag(ran);
      CHECK(static_cast<bool>(t));
      CHECK_FALSE(ran);
      const task<> moved = std::move(t);
      CHECK_FALSE(static_cast<bool>(t));
    }
    CHECK_FALSE(ran);
  }

  TEST_CASE("a task that is never awaited frees its frame and its arguments") {
    const std::int64_t frames = detail::live_frame_bytes();
    {
      const task<> t = end_at_once(counted(1), "text");
      CHECK(counted::alive() == 1);
      CHECK(detail::live_frame_bytes() > frames);
    }
    CHECK(counted::alive() == 0);
    CHECK(detail::live_frame_bytes() == frames);
  }

  TEST_CASE("assigning a task destroys the one that was there") {
    task<> t = [](counted) -> task<> { co_return; }(counted(1));
    t = [](counted) -> task<> { co_return; }(counted(2));
    CHECK(counted::alive() == 1);
    task<>& same = t;
    t = std::move(same);
    CHECK(static_cast<bool>(t));
  }

  TEST_CASE("a parameter whose copy throws leaks neither frame nor arguments") {
    const std::int64_t frames = detail::live_frame_bytes();
    const throws_when_copied parameter;
    CHECK_THROWS_AS((void)takes(parameter, counted(1)), std::runtime_error);
    CHECK(counted::alive() == 0);
    CHECK(detail::live_frame_bytes() == frames);
  }

  TEST_CASE("arguments and locals die in the coroutine, whether it returns or throws") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        co_await [](counted c) -> task<> {
          const counted local(c.number);
          co_return;
        }(counted(1));
        CHECK(counted::alive() == 0);
        try {
          co_await [](counted c) -> task<> {
            const counted local(c.number);
            throw std::runtime_error("out");
            co_return;
          }(counted(2));
        } catch (const std::runtime_error&) {}
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("a local that wants 64 bytes of alignment gets them") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        char odd = 1;
        wide w{};
        auto address = reinterpret_cast<std::uintptr_t>(&w);
        co_await number(odd);
        CHECK(address % 64 == 0);
        CHECK(reinterpret_cast<std::uintptr_t>(&w) == address);
      }());
    });
  }

  TEST_CASE("a million awaits in a row, all ready, do not use up a small stack") {
    const tests::default_stack_size small(256 * 1024);
    on_both([](const run_options& options) {
      std::thread([&options] {
        run(options, []() -> task<> {
          tests::stack_use stack;
          stack.paint();
          std::int64_t sum = 0;
          for (int i = 0; i < 1'000'000; ++i) {
            const int n = co_await number(1);
            sum += n;
          }
          const std::size_t used = stack.bytes();
          CHECK(sum == 1'000'000);
          CHECK(used < 64 * 1024);
        }());
      }).join();
    });
  }

  TEST_CASE("a hundred thousand tasks below each other do not use up a small stack") {
    const tests::default_stack_size small(256 * 1024);
    on_both([](const run_options& options) {
      std::thread([&options] {
        run(options, []() -> task<> {
          tests::stack_use stack;
          stack.paint();
          co_await deep(100'000);
          const std::size_t used = stack.bytes();
          CHECK(used < 64 * 1024);
        }());
      }).join();
    });
  }

  TEST_CASE("an exception climbs out of ten thousand tasks on a small stack") {
    const tests::default_stack_size small(256 * 1024);
    on_both([](const run_options& options) {
      std::thread([&options] {
        CHECK_THROWS_WITH(run(options, deep_failure(10'000)), "from the bottom");
      }).join();
    });
  }

  TEST_CASE("deep recursion through when_all does not use up a small stack") {
    const tests::default_stack_size small(256 * 1024);
    on_both([](const run_options& options) {
      std::thread([&options] { run(options, deep_in_when_all(20'000)); }).join();
    });
  }

  TEST_CASE("awaiting a task a second time ends the program and says why") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        task<int> t = number(1);
        (void)co_await std::move(t);
        (void)co_await std::move(t);
      }());
    });
    CHECK(said.find("a task runs once") != std::string::npos);
    CHECK(said.find("number") != std::string::npos);
    CHECK(said.find("task_test.cpp:") != std::string::npos);
  }

  TEST_CASE("awaiting a task that was moved from ends the program and says why") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        task<int> t = number(1);
        const task<int> owner = std::move(t);
        (void)co_await std::move(t);
      }());
    });
    CHECK(said.find("it was moved from") != std::string::npos);
  }

  TEST_CASE("destroying a suspended task ends the program and says what to do") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        event never;
        std::optional<task<>> waiting = wait_for_ever(never);
        auto body = [&waiting](task_group& g) -> task<> {
          g.spawn([](task<>& t) -> task<> { co_await std::move(t); }, std::ref(*waiting));
          co_await sleep_for(1ms);
          waiting.reset();
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("task_test.cpp:") != std::string::npos);
    CHECK(said.find("wait_for_ever") != std::string::npos);
    CHECK(said.find("this task was destroyed while it is suspended") != std::string::npos);
    CHECK(said.find("join it") != std::string::npos);
  }
}

}  // namespace task_test

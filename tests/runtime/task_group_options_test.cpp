// SPDX-License-Identifier: MIT
// What a task group does beside failing fast, and how single children and whole groups are stopped
// from elsewhere.
#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace task_group_options_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::on_both;

namespace {

task<> fail_with(std::string what) {
  co_await yield();
  throw std::runtime_error(what);
}

task<int> sleep_an_hour() {
  co_await sleep_for(1h);
  co_return 1;
}

std::string what_of(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& what) {
    return what.what();
  }
}

}  // namespace

TEST_SUITE("runtime/task_group_options") {
  TEST_CASE("without fail_fast every child runs to its end, and no failure is lost") {
    on_both([](const run_options& options) {
      group_failures others;
      std::atomic<int> ended{0};
      auto good = [&]() -> task<> {
        co_await sleep_for(1ms);
        ++ended;
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn(fail_with, "one");
        group.spawn(fail_with, "another");
        group.spawn_n(20, good);
        co_return;
      };
      std::string first;
      try {
        run(options, with_task_group({.failures = &others, .fail_fast = false}, body));
      } catch (const std::runtime_error& e) {
        first = e.what();
      }
      CHECK(ended == 20);
      REQUIRE(others.count() == 1);
      std::vector<std::string> all{first, what_of(others.exceptions()[0])};
      std::sort(all.begin(), all.end());
      CHECK(all == std::vector<std::string>{"another", "one"});
    });
  }

  TEST_CASE("max_concurrency bounds how many children run at a time; all run") {
    on_both([](const run_options& options) {
      std::atomic<int> running{0};
      std::atomic<int> most{0};
      std::atomic<int> ended{0};
      event three_run;
      auto child = [&]() -> task<> {
        const int now = ++running;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {}
        if (now == 3) three_run.set();
        co_await three_run.wait();
        co_await yield();
        co_await sleep_for(100us);
        --running;
        ++ended;
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn_n(100, child);
        co_return;
      };
      run(options, with_task_group({.max_concurrency = 3}, body));
      CHECK(ended == 100);
      CHECK(most == 3);
    });
  }

  TEST_CASE("children that wait for their turn start in the order of spawning") {
    std::vector<int> order;
    auto child = [&](int i) -> task<> {
      order.push_back(i);
      co_await yield();
    };
    auto body = [&](task_group& group) -> task<> {
      for (int i = 0; i < 10; ++i) group.spawn(child, i);
      co_return;
    };
    run(with_task_group({.max_concurrency = 1}, body));
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }

  TEST_CASE("a cancelled group ends although most of its children wait for their turn") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels{0};
      auto child = [&]() -> task<> {
        const result<void> r = co_await as_result(sleep_for(1h));
        if (!r) ++cancels;
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn_n(1000, child);
        co_await yield();
        group.cancel();
      };
      run(options, with_task_group({.max_concurrency = 2}, body));
      CHECK(cancels == 1000);
    });
  }

  TEST_CASE("children spawn into their own group") {
    on_both([](const run_options& options) {
      std::atomic<int> ran{0};
      auto grow = [&](auto& self, task_group& group, int depth) -> task<> {
        ++ran;
        if (depth == 0) co_return;
        group.spawn([&self, &group, depth] { return self(self, group, depth - 1); });
        group.spawn([&self, &group, depth] { return self(self, group, depth - 1); });
      };
      auto body = [&](task_group& group) -> task<> { co_await grow(grow, group, 6); };
      run(options, with_task_group(body));
      CHECK(ran == 127);
    });
  }
}

TEST_SUITE("runtime/join_handle/cancel") {
  TEST_CASE("a handle cancels its task alone: the joiner gets an error, the group goes on") {
    on_both([](const run_options& options) {
      caught seen;
      std::atomic<int> ended{0};
      auto sibling = [&]() -> task<> {
        co_await sleep_for(1ms);
        ++ended;
      };
      auto body = [&](task_group& group) -> task<> {
        join_handle<int> child = group.spawn(sleep_an_hour);
        group.spawn_n(10, sibling);
        co_await yield();
        child.cancel();
        child.cancel();
        seen = co_await catching(std::move(child));
      };
      run(options, with_task_group(body));
      CHECK_FALSE(seen.was_cancelled);
      CHECK(seen.code == std::errc::operation_canceled);
      CHECK(ended == 10);
    });
  }

  TEST_CASE("it reaches what the task awaits, its groups and combinators, and every later await") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels{0};
      auto leaf = [&]() -> task<> {
        const result<void> r = co_await as_result(sleep_for(1h));
        if (!r) ++cancels;
      };
      auto child = [&]() -> task<> {
        auto inner = [&](task_group& group) -> task<> {
          group.spawn_n(5, leaf);
          co_await when_all(leaf(), leaf());
        };
        co_await with_task_group(inner);
        co_await leaf();
      };
      auto body = [&](task_group& group) -> task<> {
        join_handle<void> h = group.spawn(child);
        co_await sleep_for(1ms);
        h.cancel();
        (void)co_await as_result(h);
        co_await yield();  // the group itself is not stopped
        ++cancels;
      };
      run(options, with_task_group(body));
      CHECK(cancels == 9);
    });
  }

  TEST_CASE("a task that is cancelled before it begins is refused its first await") {
    bool refused = false;
    auto child = [&]() -> task<> { refused = !(co_await as_result(yield())).has_value(); };
    auto body = [&](task_group& group) -> task<> {
      join_handle<void> h = group.spawn(child);
      h.cancel();
      co_return;
    };
    run(with_task_group(body));
    CHECK(refused);
  }

  TEST_CASE("a plain thread cancels a task while its group is open") {
    on_both([](const run_options& options) {
      caught seen;
      auto body = [&](task_group& group) -> task<> {
        join_handle<int> child = group.spawn(sleep_an_hour);
        std::jthread elsewhere([&] { child.cancel(); });
        seen = co_await catching(child.operator co_await());
        elsewhere.join();
      };
      run(options, with_task_group(body));
      CHECK(seen.code == std::errc::operation_canceled);
    });
  }

  TEST_CASE("cancelling a task that ends at the same time is one or the other, and leaks nothing") {
    on_both([](const run_options& options) {
      std::atomic<int> values{0};
      std::atomic<int> cancels{0};
      auto short_sleep = [](int us) -> task<int> {
        co_await sleep_for(std::chrono::microseconds(us));
        co_return 1;
      };
      auto body = [&](task_group& group) -> task<> {
        for (int i = 0; i < 500; ++i) {
          join_handle<int> h = group.spawn(short_sleep, i % 20);
          co_await sleep_for(std::chrono::microseconds(i % 17));
          h.cancel();
          const result<int> r = co_await as_result(h);
          if (r) ++values;
          if (!r && r.error() == std::errc::operation_canceled) ++cancels;
        }
      };
      run(options, with_task_group(body));
      CHECK(values + cancels == 500);
    });
  }
}

TEST_SUITE("runtime/stop_handle") {
  TEST_CASE("another thread cancels a group through its handle, and may come too late") {
    on_both([](const run_options& options) {
      std::optional<stop_handle> late;
      auto body = [&](task_group& group) -> task<> {
        stop_handle handle = group.stop_handle();
        late = handle;
        std::jthread elsewhere([handle] { handle.cancel(); });
        (void)co_await as_result(sleep_for(1h));
        elsewhere.join();
      };
      run(options, with_task_group(body));
      late->cancel();
    });
  }

  TEST_CASE("handles that race with the end of their group do no harm") {
    on_both([](const run_options& options) {
      for (int i = 0; i < 100; ++i) {
        std::jthread elsewhere;
        auto body = [&](task_group& group) -> task<> {
          elsewhere = std::jthread([handle = group.stop_handle()] {
            for (int j = 0; j < 100; ++j) handle.cancel();
          });
          (void)co_await as_result(yield());
        };
        run(options, with_task_group(body));
      }
    });
  }
}

}  // namespace task_group_options_test

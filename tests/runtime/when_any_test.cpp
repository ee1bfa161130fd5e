// SPDX-License-Identifier: MIT
#include "weft/runtime/when_any.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace when_any_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::counted;
using tests::on_both;

namespace {

task<int> number_after(std::chrono::nanoseconds d, int n) {
  co_await sleep_for(d);
  co_return n;
}

task<std::string> word() {
  co_await yield();
  co_return "word";
}

task<int> fail() {
  co_await yield();
  throw std::runtime_error("first");
  co_return 0;
}

/// Sleeps for an hour; gives a value when it is cancelled, too late to be one that lost nothing.
task<counted> value_when_cancelled() {
  const result<void> r = co_await as_result(sleep_for(1h));
  co_return counted(r ? 0 : 9);
}

}  // namespace

TEST_SUITE("runtime/when_any") {
  TEST_CASE("the first to complete wins, the others are cancelled and have ended") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels{0};
      auto loser = [&]() -> task<int> {
        const result<void> r = co_await as_result(sleep_for(1h));
        if (!r) ++cancels;
        co_return 0;
      };
      const std::variant<int, std::string, int> v =
          run(options, when_any(loser(), word(), loser()));
      CHECK(v.index() == 1);
      CHECK(std::get<1>(v) == "word");
      CHECK(cancels == 2);
    });
  }

  TEST_CASE("void gives a monostate, and operations need no task around them") {
    on_both([](const run_options& options) {
      const std::variant<int, std::monostate> v =
          run(options, when_any(number_after(1h, 1), sleep_for(1ms)));
      CHECK(v.index() == 1);
    });
  }

  TEST_CASE("an exception completes, too: it wins and is rethrown") {
    on_both([](const run_options& options) {
      CHECK_THROWS_WITH_AS((void)run(options, when_any(number_after(1h, 1), fail())), "first",
                           std::runtime_error);
    });
  }

  TEST_CASE("of a range it gives the index and the value") {
    on_both([](const run_options& options) {
      std::vector<task<int>> tasks;
      for (int i = 0; i < 100; ++i) tasks.push_back(number_after(i == 42 ? 1ms : 1h, i));
      const when_any_result<int> r = run(options, when_any(std::move(tasks)));
      CHECK(r.index == 42);
      CHECK(r.value == 42);
    });
  }

  TEST_CASE("of an empty range it is an error") {
    CHECK_THROWS_AS((void)when_any(std::vector<task<int>>()), std::system_error);
  }

  TEST_CASE("a single argument is its own winner") {
    on_both([](const run_options& options) {
      CHECK(std::get<0>(run(options, when_any(number_after(1ms, 5)))) == 5);
    });
  }

  TEST_CASE("a loser that still succeeds has its value destroyed, or handed over by settled") {
    on_both([](const run_options& options) {
      auto dropped = []() -> task<std::size_t> {
        auto v = co_await when_any(word(), value_when_cancelled());
        co_return v.index();
      };
      CHECK(run(options, dropped()) == 0);
      CHECK(counted::alive() == 0);
      auto kept = []() -> task<int> {
        auto all = co_await when_any_settled(word(), value_when_cancelled(), sleep_for(1h));
        CHECK(all.index == 0);
        CHECK(std::get<2>(all.results).error() == cancelled_code());
        co_return std::get<1>(all.results)->number;
      };
      CHECK(run(options, kept()) == 9);
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("two that are ready at once give one winner, and nothing leaks") {
    on_both([](const run_options& options) {
      auto body = []() -> task<std::size_t> {
        tcp_listener a = tcp_listener::bind("127.0.0.1:0");
        tcp_listener b = tcp_listener::bind("127.0.0.1:0");
        std::size_t sum = 0;
        for (int i = 0; i < 50; ++i) {
          tcp_stream to_a = co_await tcp_stream::connect(a.local_endpoint());
          tcp_stream to_b = co_await tcp_stream::connect(b.local_endpoint());
          auto first = co_await when_any(a.accept(), b.accept());
          sum += first.index();
          // A loser that had accepted was closed; one that had not can still accept.
        }
        co_return sum;
      };
      CHECK(run(options, body()) <= 50);
    });
  }

  TEST_CASE("a stop from outside that comes before anybody completes goes on") {
    on_both([](const run_options& options) {
      caught seen;
      auto body = [&](task_group& group) -> task<> {
        auto child = [&]() -> task<> {
          seen = co_await catching(when_any(number_after(1h, 1), sleep_for(1h)));
        };
        group.spawn(child);
        co_await yield();
        group.cancel();
      };
      run(options, with_task_group(body));
      CHECK(seen.was_cancelled);
    });
  }

  TEST_CASE("what completed before a stop from outside took effect is delivered") {
    on_both([](const run_options& options) {
      std::size_t index = 99;
      auto body = [&](task_group& group) -> task<> {
        group.cancel();
        auto v = co_await when_any(sleep_for(1h), value_when_cancelled());
        index = v.index();
      };
      run(options, with_task_group(body));
      CHECK(index == 1);
    });
  }

  TEST_CASE("losers may refer to what the caller holds, since they have ended") {
    on_both([](const run_options& options) {
      auto body = []() -> task<int> {
        int touched = 0;
        auto loser = [&]() -> task<> {
          const result<void> r = co_await as_result(sleep_for(1h));
          touched = r ? 1 : 2;
        };
        auto v = co_await when_any(loser(), yield());
        CHECK(v.index() == 1);
        co_return touched;
      };
      CHECK(run(options, body()) == 2);
    });
  }
}

}  // namespace when_any_test

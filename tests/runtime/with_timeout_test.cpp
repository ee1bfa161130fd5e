// SPDX-License-Identifier: MIT
#include "weft/runtime/with_timeout.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/counted.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

namespace with_timeout_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::counted;
using tests::on_both;
using time_point = std::chrono::steady_clock::time_point;

namespace {

task<int> number_after(std::chrono::nanoseconds d, int n) {
  co_await sleep_for(d);
  co_return n;
}

task<int> number_now(int n) { co_return n; }

task<> fail_after_yield() {
  co_await yield();
  throw std::runtime_error("of its own");
}

/// Ends with a value although it was cancelled: the stop reached it when it had what it wanted.
task<int> number_in_spite_of_a_cancel(int n) {
  const result<void> r = co_await as_result(sleep_for(1h));
  co_return r ? 0 : n;
}

}  // namespace

TEST_SUITE("runtime/with_timeout") {
  TEST_CASE("what ends in time gives its value") {
    on_both([](const run_options& options) {
      CHECK(run(options, with_timeout(1h, number_after(1ms, 7))) == 7);
      CHECK(run(options, with_timeout(1h, number_now(8))) == 8);
      auto operation = []() -> task<bool> {
        event set;
        set.set();
        co_await with_timeout(1h, set.wait());
        co_await with_timeout(1h, sleep_for(1ms));
        co_return true;
      };
      CHECK(run(options, operation()));
    });
  }

  TEST_CASE("what takes too long is cancelled, and ends with a timeout_error") {
    on_both([](const run_options& options) {
      const caught of_task = run(options, catching(with_timeout(1ms, number_after(1h, 7))));
      CHECK(of_task.was_timeout);
      CHECK(of_task.code == std::errc::timed_out);
      const caught of_operation = run(options, catching(with_timeout(1ms, sleep_for(1h))));
      CHECK(of_operation.was_timeout);
      CHECK(of_operation.what.find("sleep") != std::string::npos);
    });
  }

  TEST_CASE("a deadline is a point in time, of whatever clock") {
    on_both([](const run_options& options) {
      auto deadline = std::chrono::steady_clock::now() + 1ms;
      CHECK(run(options, catching(with_deadline(deadline, sleep_for(1h)))).was_timeout);
      auto of_day = std::chrono::system_clock::now() + 1ms;
      CHECK(run(options, catching(with_deadline(of_day, sleep_for(1h)))).was_timeout);
    });
  }

  TEST_CASE("as_result turns it into errc::timed_out, of an operation without a throw") {
    on_both([](const run_options& options) {
      auto body = []() -> task<std::pair<std::error_code, std::error_code>> {
        const result<void> of_operation = co_await as_result(with_timeout(1ms, sleep_for(1h)));
        const result<int> of_task = co_await as_result(with_timeout(1ms, number_after(1h, 1)));
        co_return std::pair(of_operation.error(), of_task.error());
      };
      const auto [of_operation, of_task] = run(options, body());
      CHECK(of_operation == timed_out_code());
      CHECK(of_task == timed_out_code());
    });
  }

  TEST_CASE("a time limit of zero gives what is ready and starts nothing that is not") {
    on_both([](const run_options& options) {
      auto body = [](event& set, event& unset) -> task<std::pair<bool, bool>> {
        const result<void> ready = co_await as_result(with_timeout(0s, set.wait()));
        const result<void> not_ready = co_await as_result(with_timeout(-1s, unset.wait()));
        co_return std::pair(ready.has_value(), not_ready.error() == timed_out_code());
      };
      event set;
      event unset;
      set.set();
      const auto [ready, refused] = run(options, body(set, unset));
      CHECK(ready);
      CHECK(refused);
      CHECK(run(options, catching(with_timeout(0s, number_after(0s, 1)))).was_timeout);
    });
  }

  TEST_CASE("other exceptions pass through a time limit") {
    on_both([](const run_options& options) {
      CHECK_THROWS_WITH_AS(run(options, with_timeout(1h, fail_after_yield())), "of its own",
                           std::runtime_error);
    });
  }

  TEST_CASE("a value that was there when the time was up is delivered") {
    on_both([](const run_options& options) {
      CHECK(run(options, with_timeout(1ms, number_in_spite_of_a_cancel(5))) == 5);
    });
  }

  TEST_CASE("of nested limits the earlier one wins, and only its scope throws timeout_error") {
    on_both([](const run_options& options) {
      auto inner = [](caught& seen) -> task<> {
        try {
          co_await with_timeout(1h, sleep_for(2h));
        } catch (const cancelled&) {
          seen.was_cancelled = true;
          throw;
        } catch (const timeout_error&) {
          seen.was_timeout = true;
          throw;
        }
      };
      caught seen;
      CHECK(run(options, catching(with_timeout(1ms, inner(seen)))).was_timeout);
      CHECK(seen.was_cancelled);
      CHECK_FALSE(seen.was_timeout);

      auto outer = []() -> task<bool> {
        const result<void> r = co_await as_result(with_timeout(1ms, sleep_for(2h)));
        co_await sleep_for(1ms);  // the outer scope is not stopped
        co_return r.error() == timed_out_code();
      };
      CHECK(run(options, with_timeout(1h, outer())));
    });
  }

  TEST_CASE("a cancel from outside that comes first stays a cancel") {
    on_both([](const run_options& options) {
      caught seen;
      auto body = [&](task_group& group) -> task<> {
        auto waiting = [&]() -> task<> {
          seen = co_await catching(with_timeout(1h, number_after(2h, 1)));
        };
        group.spawn(waiting);
        co_await yield();
        group.cancel();
      };
      run(options, with_task_group(body));
      CHECK(seen.was_cancelled);
    });
  }

  TEST_CASE("everything inside ends before the limit's scope does") {
    on_both([](const run_options& options) {
      std::atomic<int> ended{0};
      auto child = [&]() -> task<> {
        const result<void> r = co_await as_result(sleep_for(1h));
        CHECK_FALSE(r.has_value());
        ++ended;
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn_n(100, child);
        co_await when_all(child(), child());
        co_await sleep_for(1h);
      };
      const caught c = run(options, catching(with_timeout(1ms, with_task_group(body))));
      CHECK(c.was_timeout);
      CHECK(ended == 102);
    });
  }

  TEST_CASE("a timed-out waiter keeps no permit, lock or message") {
    on_both([](const run_options& options) {
      auto body = []() -> task<bool> {
        mutex m;
        mutex_lock held = co_await m.lock();
        const result<mutex_lock> r = co_await as_result(with_timeout(1ms, m.lock()));
        held.unlock();
        co_return !r && m.try_lock().has_value();
      };
      CHECK(run(options, body()));
    });
  }

  TEST_CASE("a task can read how long it has, across spawn and on()") {
    on_both([](const run_options& options) {
      auto ask = [](std::optional<time_point>& seen) -> task<> {
        seen = co_await this_task::deadline();
      };
      thread_pool other({.workers = 1});
      std::optional<time_point> without, far, near, child, away;
      auto nested = [&](task_group& group) -> task<> {
        auto ask_child = [&]() -> task<> { child = co_await this_task::deadline(); };
        group.spawn(ask_child);
        far = co_await this_task::deadline();
        co_await with_timeout(1h, ask(near));
        co_await on(other, ask(away));
      };
      const time_point deadline = std::chrono::steady_clock::now() + 2h;
      auto all = [&]() -> task<> {
        co_await ask(without);
        co_await with_deadline(deadline, with_task_group(nested));
      };
      run(options, all());
      CHECK_FALSE(without.has_value());
      CHECK(far == deadline);
      REQUIRE(near.has_value());
      CHECK(*near < deadline);
      CHECK(child == deadline);
      CHECK(away == deadline);
    });
  }

  TEST_CASE("a deadline is exact under a virtual clock") {
    tests::test_kernel kernel;
    kernel.alone = true;
    const std::int64_t before = kernel.now();
    const caught c = run({.kernel = &kernel}, catching(with_timeout(10s, sleep_for(1h))));
    CHECK(c.was_timeout);
    CHECK(kernel.now() - before == 10'000'000'000);
  }

  TEST_CASE("a limit and a completion that race are decided once") {
    on_both([](const run_options& options) {
      std::atomic<int> delivered{0};
      std::atomic<int> timed_out{0};
      auto receive = [&](channel_receiver<int> rx, int i) -> task<> {
        const auto limit = std::chrono::microseconds(i % 50);
        const result<std::optional<int>> r = co_await as_result(with_timeout(limit, rx.receive()));
        if (r)
          ++delivered;
        else if (r.error() == timed_out_code())
          ++timed_out;
      };
      constexpr int rounds = 2000;
      int left = 0;
      auto body = [&]() -> task<> {
        for (int i = 0; i < rounds; ++i) {
          channel_ends<int> ends = channel<int>(1);
          auto one = [&](task_group& group) -> task<> {
            group.spawn(receive, ends.receiver, i);
            co_await sleep_for(std::chrono::microseconds(i % 40));
            CHECK(ends.sender.try_send(1));
          };
          co_await with_task_group(one);
          if (ends.receiver.try_receive()) ++left;
        }
      };
      run(options, body());
      CHECK(delivered + timed_out == rounds);
      CHECK(timed_out == left);
    });
  }
}

TEST_SUITE("runtime/shield") {
  TEST_CASE("a shield lets clean-up await under a stopped scope; the next await reports the stop") {
    on_both([](const run_options& options) {
      bool cleaned = false;
      bool went_on = false;
      auto body = [&](task_group& group) -> task<> {
        group.cancel();
        co_await shield(sleep_for(1ms), 1h);
        co_await shield(number_after(1ms, 1), std::chrono::steady_clock::now() + 1h);
        cleaned = true;
        co_await yield();
        went_on = true;
      };
      run(options, with_task_group(body));
      CHECK(cleaned);
      CHECK_FALSE(went_on);
    });
  }

  TEST_CASE("a stop that comes while a shielded await is suspended leaves it alone") {
    on_both([](const run_options& options) {
      event inside;
      event go_on;
      bool shielded = false;
      bool refused = false;
      auto wait = [&]() -> task<> {
        inside.set();
        co_await go_on.wait();
      };
      auto child = [&]() -> task<> {
        co_await shield(wait(), 1h);
        shielded = true;
        refused = !(co_await as_result(yield())).has_value();
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn(child);
        co_await inside.wait();
        group.cancel();
        co_await shield(sleep_for(1ms), 1h);  // the stop has reached the child
        go_on.set();
      };
      run(options, with_task_group(body));
      CHECK(shielded);
      CHECK(refused);
    });
  }

  TEST_CASE("groups and limits inside a shield work as anywhere") {
    on_both([](const run_options& options) {
      std::atomic<int> ended{0};
      bool timed_out = false;
      auto inner = [&](task_group& group) -> task<> {
        auto child = [&]() -> task<> {
          co_await sleep_for(1ms);
          ++ended;
        };
        group.spawn_n(10, child);
        const result<void> r = co_await as_result(with_timeout(1ms, sleep_for(1h)));
        timed_out = r.error() == timed_out_code();
      };
      auto body = [&](task_group& group) -> task<> {
        group.cancel();
        co_await shield(with_task_group(inner), 1h);
      };
      run(options, with_task_group(body));
      CHECK(ended == 10);
      CHECK(timed_out);
    });
  }

  TEST_CASE("a shield ends at its deadline with a timeout_error") {
    on_both([](const run_options& options) {
      caught seen;
      auto body = [&](task_group& group) -> task<> {
        group.cancel();
        seen = co_await catching(shield(number_after(1h, 1), 1ms));
      };
      run(options, with_task_group(body));
      CHECK(seen.was_timeout);
      CHECK(seen.what.find("shield") != std::string::npos);
    });
  }

  TEST_CASE("a shield has its own deadline, not the one around it") {
    std::optional<time_point> inside;
    auto ask = [&]() -> task<> { inside = co_await this_task::deadline(); };
    const time_point far = std::chrono::steady_clock::now() + 2h;
    auto body = [&]() -> task<> { co_await shield(ask(), far); };
    run(with_timeout(1h, body()));
    CHECK(inside == far);
  }
}

}  // namespace with_timeout_test

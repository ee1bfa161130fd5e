// SPDX-License-Identifier: MIT
// A run whose tasks all wait for each other ends with an error that shows the tree of who awaits
// whom; one that something outside will wake does not.

#include "support/both_schedulers.hpp"
#include "support/test_kernel.hpp"
#include "weft/io/blocking.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace deadlock_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

template <class MakeTask>
std::string report_of(const run_options& options, MakeTask make) {
  try {
    run(options, make());
  } catch (const deadlock& e) {
    return e.what();
  }
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

task<> wait_for(event& e) { co_await e.wait(); }

task<> lock_both(mutex& first, mutex& second, event& other, event& mine) {
  const mutex_lock one = co_await first.lock();
  mine.set();
  co_await other.wait();
  const mutex_lock two = co_await second.lock();
}

task<> philosophers() {
  mutex left;
  mutex right;
  std::array<event, 2> ready;
  co_await when_all(lock_both(left, right, ready[1], ready[0]),
                    lock_both(right, left, ready[0], ready[1]));
}

task<> receive_nothing() {
  auto ends = channel<int>(4);
  (void)co_await ends.receiver.receive();
}

}  // namespace

TEST_SUITE("sched/deadlock") {
  TEST_CASE(
      "an event that nobody will set is a deadlock, and the report says where it is awaited") {
    on_both([](const run_options& options) {
      event never;
      const std::string report = report_of(options, [&] { return wait_for(never); });
      CHECK(has(report, "deadlock"));
      CHECK(has(report, "wait_for ("));
      CHECK(has(report, "deadlock_test.cpp:"));
      CHECK(has(report, ": waits for event::wait"));
      CHECK(has(report, "work_guard"));
    });
  }

  TEST_CASE("two tasks that wait for each other's mutex are both shown, with who holds it") {
    on_both([](const run_options& options) {
      const std::string report = report_of(options, [] { return philosophers(); });
      CHECK(has(report, "philosophers ("));
      CHECK(has(report, "├─ "));
      CHECK(has(report, "└─ "));
      CHECK(has(report, "waits for mutex::lock, which "));
      CHECK(has(report, "lock_both took at "));
    });
  }

  TEST_CASE("a channel whose senders do not send is shown with what is known of it") {
    on_both([](const run_options& options) {
      const std::string report = report_of(options, [] { return receive_nothing(); });
      CHECK(has(report,
                "waits for channel_receiver::receive (channel with 0 of 4 values and 1 sender"));
    });
  }

  TEST_CASE("children of groups are shown below who opened the group") {
    on_both([](const run_options& options) {
      event never;
      const std::string report = report_of(options, [&never]() -> task<> {
        auto body = [&never](task_group& group) -> task<> {
          group.spawn(wait_for, std::ref(never));
          group.spawn(wait_for, std::ref(never));
          co_return;
        };
        co_await with_task_group(body);
      });
      const std::size_t first = report.find("wait_for (");
      CHECK(first != std::string::npos);
      CHECK(report.find("wait_for (", first + 1) != std::string::npos);
    });
  }

  TEST_CASE("the tasks are cancelled and unwind, and run throws even if one swallows that") {
    on_both([](const run_options& options) {
      event never;
      bool unwound = false;
      const std::string report = report_of(options, [&]() -> task<> {
        const result<void> r = co_await as_result(never.wait());
        unwound = !r;
      });
      CHECK(has(report, "deadlock"));
      CHECK(unwound);
    });
  }

  TEST_CASE("who comes while a deadlock is reported is not told of it") {
    struct counting : detail::guest {
      counting(scheduler& home, int& told)
          : guest(home, [](guest&) noexcept {}, nullptr), told_(told) {
        on_deadlock(
            [](guest& g, const std::string&) noexcept { ++static_cast<counting&>(g).told_; });
      }
      int& told_;
    };
    int first_told = 0;
    int second_told = 0;
    event_loop loop;
    detail::guest_list& guests = loop.hosting().guests;
    CHECK(guests.last_to_tell() == 0);
    counting first(loop, first_told);
    counting second(loop, second_told);
    CHECK(loop.admit(first));
    const std::uint64_t last = guests.last_to_tell();
    CHECK(loop.admit(second));
    CHECK(guests.tell_deadlock("", last) == 1);
    CHECK(first_told == 1);
    CHECK(second_told == 0);
    CHECK(guests.tell_deadlock("", guests.last_to_tell()) == 1);
    CHECK(second_told == 1);
    CHECK(guests.last_to_tell() == 0);
    first.release();
    second.release();
    CHECK(guests.empty());
  }

  TEST_CASE("a run after a deadlock starts afresh") {
    event never;
    event_loop loop;
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 2; ++i) {
      CHECK_THROWS_AS(loop.run(wait_for(never)), deadlock);
      CHECK_THROWS_AS(pool.run(wait_for(never)), deadlock);
    }
    CHECK(loop.run([]() -> task<int> { co_return 3; }()) == 3);
    CHECK(pool.run([]() -> task<int> { co_return 3; }()) == 3);
  }

  TEST_CASE("a plain thread with a work_guard wakes a task, and its end without that is noticed") {
    on_both([](const run_options& options) {
      event done;
      std::thread other;
      std::atomic<bool> go = false;
      run(options, [&]() -> task<> {
        other = std::thread([&, guard = work_guard()] {
          while (!go) std::this_thread::yield();
          done.set();
        });
        go = true;
        co_await done.wait();
      }());
      other.join();
      event never;
      const std::string report = report_of(options, [&]() -> task<> {
        other = std::thread([guard = work_guard()] {});
        co_await never.wait();
      });
      other.join();
      CHECK(has(report, "deadlock"));
    });
  }

  TEST_CASE("a work_guard may outlive the scheduler") {
    on_both([](const run_options& options) {
      std::optional<work_guard> kept;
      run(options, [&]() -> task<> {
        kept.emplace();
        co_return;
      }());
      const work_guard copy = *kept;
      kept.reset();
    });
    CHECK_THROWS_AS(work_guard(), std::system_error);
  }

  TEST_CASE(
      "who waits for clients, a timer, a blocking call or another scheduler is not deadlocked") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        const result<tcp_stream> nobody = co_await as_result(with_timeout(2ms, listener.accept()));
        CHECK(nobody.error() == std::errc::timed_out);
        co_await sleep_for(2ms);
        auto call = [] { std::this_thread::sleep_for(2ms); };
        co_await blocking(call);
      }());
      thread_pool pool({.workers = 1});
      run(options, [](thread_pool& there) -> task<> {
        event done;
        auto far = [](event& e) -> task<> {
          co_await sleep_for(2ms);
          e.set();
        };
        co_await on(there, far(done));
        co_await done.wait();
      }(pool));
    });
  }

  TEST_CASE("signals that a run waits for keep no deadlock from being seen") {
    on_both([](run_options options) {
      event never;
      options.stop_on = {SIGUSR1};
      options.dump_on = {SIGUSR2};
      CHECK(has(report_of(options, [&] { return wait_for(never); }), "deadlock"));
    });
  }

  TEST_CASE("tasks that pass a turn on by events for long are never taken for deadlocked") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event ping;
        event pong;
        auto player = [](event& mine, event& other, int rounds) -> task<> {
          for (int i = 0; i < rounds; ++i) {
            co_await mine.wait();
            mine.reset();
            other.set();
            if (i % 64 == 0) co_await yield();
          }
        };
        ping.set();
        co_await when_all(player(ping, pong, 20'000), player(pong, ping, 20'000));
      }());
    });
  }
}

}  // namespace deadlock_test

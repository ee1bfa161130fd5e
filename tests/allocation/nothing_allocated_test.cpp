// SPDX-License-Identifier: MIT
// What is promised to allocate nothing and to throw nothing, counted: a request to stop, awaits
// that need not wait, outcomes as values.
#include "allocation/counting_new.hpp"
#include "support/both_schedulers.hpp"
#include "support/sanitizers.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/auto_reset_event.hpp"
#include "weft/runtime/barrier.hpp"
#include "weft/runtime/broadcast.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/condition_variable.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/interval.hpp"
#include "weft/runtime/latch.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/oneshot.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/shared_mutex.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/watch.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace nothing_allocated_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::allocations;
using tests::on_both;
using tests::throws;
using tests::whose;
using tests::with_address_sanitizer;

namespace {

/// Set on a thread while it requests a stop: what runs there meanwhile runs inside the request.
thread_local bool requesting = false;
[[gnu::noinline]] void set_requesting(bool on) { requesting = on; }
[[gnu::noinline]] bool is_requesting() { return requesting; }

struct counts {
  explicit counts(whose calls) : allocated(allocations(calls)), thrown(throws(calls)) {}
  friend bool operator==(const counts&, const counts&) = default;

  std::uint64_t allocated, thrown;
};

/// Makes `request` and checks what it cost the thread.
template <class Request>
void count_a_request(Request request) {
  const counts before(whose::this_thread);
  set_requesting(true);
  request();
  set_requesting(false);
  const counts after(whose::this_thread);
  CHECK(after == before);
}

/// Five things to wait for that never come.
struct never {
  event gate;
  semaphore permits{0};
  mutex guarded;
  std::optional<mutex_lock> holder = guarded.try_lock();
  channel_ends<int> ends = channel<int>(1);
};

struct waiting_room {
  static constexpr int waiters = 100;

  never things;
  std::atomic<int> came = 0, refused = 0;
  std::atomic<bool> ran_inside_the_request = false;

  void leave(bool granted) {
    if (is_requesting()) ran_inside_the_request = true;
    if (!granted) ++refused;
  }
  task<> wait(int which) {
    ++came;
    bool granted = false;
    if (which == 0) {
      const result<void> r = co_await as_result(things.gate.wait());
      granted = r.has_value();
    } else if (which == 1) {
      const result<semaphore_permit> r = co_await as_result(things.permits.acquire());
      granted = r.has_value();
    } else if (which == 2) {
      const result<mutex_lock> r = co_await as_result(things.guarded.lock());
      granted = r.has_value();
    } else if (which == 3) {
      const result<std::optional<int>> r = co_await as_result(things.ends.receiver.receive());
      granted = r.has_value();
    } else {
      const result<void> r = co_await as_result(sleep_for(1h));
      granted = r.has_value();
    }
    leave(granted);
    const result<void> again = co_await as_result(sleep_for(1h));  // refused without a wait
    if (again) --refused;
  }
  task<> fill(task_group& g) {
    for (int i = 0; i < waiters; ++i) {
      g.spawn([this, i] { return wait(i % 5); });
    }
    while (came < waiters) {
      co_await yield();
    }
  }
};

/// Runs `round()` some times to warm up, then many times; says how often memory was allocated.
template <class Round>
task<std::uint64_t> allocated_when_warm(Round round) {
  for (int i = 0; i < 300; ++i) {
    co_await round();
  }
  const std::uint64_t before = allocations(whose::every_thread);
  for (int i = 0; i < 1000; ++i) {
    co_await round();
  }
  co_return allocations(whose::every_thread) - before;
}

/// On one worker, so that every frame comes from the cache that it went to. Not for a case that
/// runs under AddressSanitizer.
template <class Round>
void check_nothing_is_allocated_when_warm(Round round) {
  CHECK(run(allocated_when_warm(round)) == 0);
  thread_pool pool({.workers = 1});
  CHECK(pool.run(allocated_when_warm(round)) == 0);
}

task<int> number(int n) { co_return n; }

}  // namespace

TEST_SUITE("allocation/nothing" * doctest::skip(!tests::allocations_are_counted())) {
  TEST_CASE("the counters count what is thrown, and rethrown from a pointer") {
    const counts before(whose::this_thread);
    try {
      throw 1;
    } catch (int) {
      try {
        std::rethrow_exception(std::current_exception());
      } catch (int) {}
    }
    CHECK(throws(whose::this_thread) == before.thrown + 2);
  }

  TEST_CASE("a request to stop allocates nothing, throws nothing and runs no task") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        waiting_room room;
        auto body = [&](task_group& g) -> task<> {
          co_await room.fill(g);
          count_a_request([&] { g.cancel(); });
        };
        co_await with_task_group(body);
        CHECK(room.refused == waiting_room::waiters);
        CHECK_FALSE(room.ran_inside_the_request);
      }());
    });
  }

  TEST_CASE("a request from a plain thread allocates nothing, throws nothing and runs no task") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        waiting_room room;
        auto body = [&](task_group& g) -> task<> {
          co_await room.fill(g);
          std::thread thread([&] { count_a_request([&] { g.cancel(); }); });
          (void)co_await as_result(sleep_for(1h));
          thread.join();
        };
        co_await with_task_group(body);
        CHECK(room.refused == waiting_room::waiters);
        CHECK_FALSE(room.ran_inside_the_request);
      }());
    });
  }

  TEST_CASE("what a stop brings about on an event loop allocates and throws nothing either") {
    run([]() -> task<> {
      waiting_room room;
      std::optional<counts> before;
      auto body = [&](task_group& g) -> task<> {
        co_await room.fill(g);
        before.emplace(whose::every_thread);
        g.cancel();
      };
      co_await with_task_group(body);
      const counts after(whose::every_thread);
      CHECK(after == *before);
      CHECK(room.refused == waiting_room::waiters);
    }());
  }

  TEST_CASE("as_result of an operation that fails allocates and throws nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<int>(1);
        tx.close();
        const counts before(whose::every_thread);
        const result<void> sent = co_await as_result(tx.send(1));
        const result<std::optional<int>> received = co_await as_result(rx.receive());
        const counts after(whose::every_thread);
        CHECK(sent.error() == std::errc::broken_pipe);
        CHECK_FALSE(received->has_value());
        CHECK(after == before);
      }());
    });
  }

  TEST_CASE("as_result of a task throws no more than the task itself") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto calm = [](task_group& g) -> task<std::error_code> {
          g.cancel();
          const result<void> r = co_await as_result(sleep_for(1h));
          co_return r.error();
        };
        const std::uint64_t before = throws(whose::every_thread);
        const result<std::error_code> r = co_await as_result(with_task_group(calm));
        CHECK(throws(whose::every_thread) == before);
        CHECK(*r == cancelled_code());
      }());
    });
  }

  TEST_CASE("awaiting a set event allocates nothing" * doctest::skip(with_address_sanitizer)) {
    event gate;
    gate.set();
    check_nothing_is_allocated_when_warm([&]() -> task<> { co_await gate.wait(); });
  }

  TEST_CASE("an uncontended lock and a permit that is there allocate nothing" *
            doctest::skip(with_address_sanitizer)) {
    mutex m;
    semaphore s(1);
    check_nothing_is_allocated_when_warm([&]() -> task<> {
      const mutex_lock lock = co_await m.lock();
      const semaphore_permit permit = co_await s.acquire();
    });
  }

  TEST_CASE("a signal, an open latch and the last arrival at a barrier allocate nothing" *
            doctest::skip(with_address_sanitizer)) {
    auto_reset_event signal;
    latch open(0);
    barrier line(1);
    check_nothing_is_allocated_when_warm([&]() -> task<> {
      signal.set();
      co_await signal.wait();
      co_await open.wait();
      co_await line.arrive_and_wait();
    });
  }

  TEST_CASE("a shared_mutex that is free for reading and writing allocates nothing" *
            doctest::skip(with_address_sanitizer)) {
    shared_mutex m;
    check_nothing_is_allocated_when_warm([&]() -> task<> {
      { const exclusive_lock alone = co_await m.lock(); }
      const shared_lock one = co_await m.lock_shared();
      const shared_lock other = co_await m.lock_shared();
    });
  }

  TEST_CASE("waiting for a condition and notifying allocates nothing" *
            doctest::skip(with_address_sanitizer)) {
    mutex m;
    condition_variable changed;
    int turn = 0;
    auto player = [&](int me) -> task<> {
      mutex_lock lock = co_await m.lock();
      for (int i = 0; i < 2; ++i) {
        co_await changed.wait(lock, [&turn, me] { return turn % 2 == me; });
        ++turn;
        changed.notify_one();
      }
    };
    check_nothing_is_allocated_when_warm(
        [&]() -> task<> { co_await when_all(player(0), player(1)); });
  }

  TEST_CASE("a oneshot allocates when it is made, and not when it is used") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = oneshot<int>();
        const std::uint64_t before = allocations(whose::every_thread);
        const bool sent = ends.sender.send(1);
        const std::optional<int> n = co_await ends.receiver.receive();
        CHECK(allocations(whose::every_thread) == before);
        CHECK(sent);
        CHECK(n == 1);
      }());
    });
  }

  TEST_CASE("a watch whose value is known, and a broadcast with room, allocate nothing" *
            doctest::skip(with_address_sanitizer)) {
    watch_ends<int> news = watch(1);
    broadcast_ends<int> ends = broadcast<int>(2);
    broadcast_receiver<int> other = ends.sender.subscribe();
    check_nothing_is_allocated_when_warm([&]() -> task<> {
      CHECK(*news.receiver.get() == 1);
      co_await ends.sender.send(1);
      co_await ends.sender.send(2);
      for (int i = 0; i < 2; ++i) {
        (void)co_await ends.receiver.receive();
        (void)co_await other.receive();
      }
    });
  }

  TEST_CASE("the ticks of an interval allocate nothing" * doctest::skip(with_address_sanitizer)) {
    interval tick(1us);
    check_nothing_is_allocated_when_warm([&]() -> task<> { co_await tick.next(); });
  }

  TEST_CASE("a channel with room allocates nothing per value" *
            doctest::skip(with_address_sanitizer)) {
    const channel_ends<int> ends = channel<int>(4);
    check_nothing_is_allocated_when_warm([&]() -> task<> {
      co_await ends.sender.send(1);
      co_await ends.sender.send(2);
      (void)co_await ends.receiver.receive();
      (void)co_await ends.receiver.receive();
    });
  }

  TEST_CASE("a warm worker allocates nothing for tasks, forks, groups and sleeps either" *
            doctest::skip(with_address_sanitizer)) {
    check_nothing_is_allocated_when_warm([]() -> task<> {
      const int one = co_await number(1);
      const auto both = co_await when_all(number(one), number(2));
      auto body = [&](task_group& g) -> task<> {
        join_handle<int> child = g.spawn(number, std::get<1>(both));
        (void)co_await child;
        co_await yield();
      };
      co_await with_task_group(body);
      co_await sleep_for(1ns);
    });
  }
}

}  // namespace nothing_allocated_test

// SPDX-License-Identifier: MIT
#include "weft/sched/dump_tasks.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/test_kernel.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_completed.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/merge.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

namespace dump_tasks_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

/// Not when it runs, or is held up for longer than dump_tasks() waits.
bool shows_a_wait(scheduler& s) {
  try {
    return has(dump_tasks(s), "waits for event::wait");
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::timed_out) throw;
    return false;
  }
}

task<> hold_on(event& e) { co_await e.wait(); }
task<int> two_behind(event& e) {
  co_await e.wait();
  co_return 2;
}
task<> further_in(event& e) { co_await hold_on(e); }

task<> churn(std::atomic<bool>& over, event& gate) {
  while (!over) {
    auto fork = [](event& e) -> task<> {
      co_await yield();
      (void)co_await when_any(hold_on(e), sleep_for(20us));
    };
    co_await when_all(fork(gate), fork(gate));
  }
}

}  // namespace

TEST_SUITE("sched/dump_tasks") {
  TEST_CASE("a generator that has yielded keeps no one who is away") {
    event_loop loop;
    loop.run([](scheduler& there) -> task<> {
      event gate;
      auto one = []() -> task<int> { co_return 1; };
      auto values = as_completed(one(), on(there, two_behind(gate)));
      auto take_one = [&values]() -> task<> {
        auto next = values.next();
        const std::optional<int> first = co_await next;
        CHECK(first == 1);
      };
      auto body = [&take_one](task_group& g) -> task<> {
        g.spawn(take_one);
        co_return;
      };
      co_await with_task_group(body);
      CHECK(has(dump_tasks(there), "two_behind"));
      gate.set();
      auto closing = values.close();
      co_await closing;
    }(loop));
  }

  TEST_CASE("a pool is looked at while merged generators hand values over") {
    std::atomic<bool> over{false};
    auto endless = [](std::atomic<bool>& end) -> async_generator<int> {
      while (!end) {
        co_yield 1;
        co_await yield();
      }
    };
    auto consume = [&]() -> task<> {
      auto forget = [](int) {};
      co_await for_each(merge(endless(over), endless(over), endless(over)), forget);
    };
    thread_pool pool({.workers = 2});
    std::thread looks([&] {
      for (int i = 0; i < 300; ++i) (void)dump_tasks(pool);
      over = true;
    });
    pool.run(consume());
    looks.join();
  }

  TEST_CASE("a task sees the others, each below who awaits it, with what they wait for") {
    on_both([](const run_options& options) {
      std::string text;
      run(options, [](std::string& out) -> task<> {
        event gate;
        auto look = [](event& e, std::string& to) -> task<> {
          while (count(to, "waits for event::wait") < 2) {  // they may not have come to it yet
            co_await sleep_for(1ms);
            to = dump_tasks();
          }
          e.set();
        };
        co_await when_all(further_in(gate), with_timeout(1h, hold_on(gate)), look(gate, out));
      }(text));
      CHECK(count(text, "hold_on (") == 2);
      CHECK(count(text, "further_in (") == 1);
      CHECK(count(text, "waits for event::wait") == 2);
      CHECK(has(text, "first waited "));
      CHECK(has(text, " left"));
      CHECK(has(text, ": runs, or is ready to"));
    });
  }

  TEST_CASE("a wait without a frame of the user's is shown below who awaits it") {
    on_both([](const run_options& options) {
      std::string text;
      run(options, [](std::string& out) -> task<> {
        event gate;
        auto look = [](event& e, std::string& to) -> task<> {
          while (!has(to, "waits for event::wait")) {  // it may not have come to it yet
            co_await sleep_for(1ms);
            to = dump_tasks();
          }
          e.set();
        };
        co_await when_all(gate.wait(), look(gate, out));
      }(text));
      CHECK(has(text, "one of them: waits for event::wait"));
    });
  }

  TEST_CASE("an operation of the ring is shown with the worker whose ring it is in") {
    on_both([](const run_options& options) {
      std::string text;
      run(options, [](std::string& out) -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        auto server = [](tcp_listener& l) -> task<> { (void)co_await l.accept(); };
        auto look = [](tcp_listener& l, std::string& to) -> task<> {
          while (!has(to, "waits for tcp_listener::accept")) {  // it may not have come to it yet
            co_await sleep_for(1ms);
            to = dump_tasks();
          }
          const tcp_stream client = co_await tcp_stream::connect(l.local_endpoint());
        };
        co_await when_all(server(listener), look(listener, out));
      }(text));
      CHECK(has(text, "waits for tcp_listener::accept, of worker "));
    });
  }

  TEST_CASE("another thread asks a loop and a pool that run, and a loop that doesn't") {
    event gate;
    event_loop loop;
    thread_pool pool({.workers = 2});
    const auto keep = [](event& e, std::atomic<int>& begun) -> task<> {
      const work_guard guard;
      auto waiter = hold_on(e);
      ++begun;
      co_await std::move(waiter);
    };
    std::atomic<int> begun = 0;
    std::thread one([&] { loop.run(keep(gate, begun)); });
    std::thread two([&] { pool.run(keep(gate, begun)); });
    while (begun != 2) std::this_thread::yield();
    // They may not have come to the wait yet.
    while (!shows_a_wait(loop)) std::this_thread::yield();
    while (!shows_a_wait(pool)) std::this_thread::yield();
    gate.set();
    one.join();
    two.join();
    CHECK(dump_tasks(pool).empty());
    CHECK_THROWS_AS((void)dump_tasks(loop), std::system_error);
    CHECK_THROWS_AS((void)dump_tasks(), std::system_error);
  }

  TEST_CASE("a signal of .dump_on writes the tasks to standard error, each time it comes") {
    for (const unsigned workers : {1u, 2u}) {
      const tests::child_end end = tests::in_child([workers] {
        tests::test_kernel k;
        const auto signalled = [](tests::test_kernel& kernel) -> task<> {
          event never;
          auto body = [&](task_group& group) -> task<> {
            group.spawn(hold_on, std::ref(never));
            for (int i = 0; i < 2; ++i) {
              co_await sleep_for(2ms);
              (void)kernel.send_signal(SIGQUIT);
              co_await sleep_for(2ms);
            }
            group.cancel();
          };
          co_await with_task_group(body);
        };
        run({.workers = workers, .kernel = &k, .dump_on = {SIGQUIT}}, signalled(k));
        return 0;
      });
      CHECK(end.exited_with(0));
      CHECK(count(end.said, "weft: the tasks of this run:") == 2);
      CHECK(count(end.said, "hold_on (") == 2);
    }
  }

  TEST_CASE("looking at a pool whose tasks come and go disturbs nobody") {
    thread_pool pool({.workers = 2});
    event gate;
    std::atomic<bool> over = false;
    std::thread runner([&] {
      pool.run([](std::atomic<bool>& end, event& e) -> task<> {
        auto body = [&end, &e](task_group& group) -> task<> {
          for (int i = 0; i < 8; ++i) group.spawn(churn, std::ref(end), std::ref(e));
          co_return;
        };
        co_await with_task_group(body);
      }(over, gate));
    });
    std::size_t seen = 0;
    for (int looks = 0; looks < 300 || seen == 0; ++looks) seen += dump_tasks(pool).size();
    over = true;
    runner.join();
    CHECK(seen != 0);
  }
}

}  // namespace dump_tasks_test

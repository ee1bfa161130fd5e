// SPDX-License-Identifier: MIT
#include "weft/sched/event_loop.hpp"

#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "support/long_tests.hpp"
#include "support/waiting_tasks.hpp"
#include "weft/io/blocking.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <ctime>
#include <system_error>
#include <thread>
#include <vector>

namespace event_loop_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;

namespace {

task<int> number(int n) { co_return n; }

std::chrono::nanoseconds cpu_time_of_thread() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

/// 0.05 % of the long one is 5 ms.
std::chrono::milliseconds idle_time() noexcept {
  return std::chrono::milliseconds(tests::repetitions(200, 10'000));
}

}  // namespace

TEST_SUITE("sched/event_loop") {
  TEST_CASE("a loop runs one main task after the other, on the thread that calls run") {
    event_loop loop;
    for (int i = 0; i < 3; ++i) {
      const std::thread::id ran_on = loop.run([]() -> task<std::thread::id> {
        co_await yield();
        co_return std::this_thread::get_id();
      }());
      CHECK(ran_on == std::this_thread::get_id());
    }
    std::thread([&loop] { CHECK(loop.run(number(2)) == 2); }).join();
  }

  TEST_CASE("what is posted runs on the loop's thread in the order of posting") {
    event_loop loop;
    std::vector<int> order;
    bool elsewhere = false;
    loop.run([](event_loop& l, std::vector<int>& out, bool& wrong) -> task<> {
      event posted;
      const std::thread::id mine = std::this_thread::get_id();
      std::thread poster([&, guard = work_guard()] {
        for (int i = 0; i < 100; ++i) {
          l.post([&, i] {
            if (std::this_thread::get_id() != mine) wrong = true;
            out.push_back(i);
          });
        }
        l.post([&posted] { posted.set(); });
      });
      co_await posted.wait();
      poster.join();
    }(loop, order, elsewhere));
    CHECK_FALSE(elsewhere);
    REQUIRE(order.size() == 100);
    for (int i = 0; i < 100; ++i) {
      CHECK(order[static_cast<std::size_t>(i)] == i);
    }
  }

  TEST_CASE("posts from many threads wake a loop that sleeps, and none is lost") {
    event_loop loop;
    int posts = 0;
    loop.run([](event_loop& l, int& n) -> task<> {
      event all_there;
      std::vector<std::thread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, guard = work_guard()] {
          for (int i = 0; i < 500; ++i) {
            l.post([&] {
              if (++n == 2000) all_there.set();
            });
          }
        });
      }
      co_await all_there.wait();
      for (std::thread& t : threads) t.join();
    }(loop, posts));
    CHECK(posts == 2000);
  }

  TEST_CASE("what is posted between two runs waits for the next one") {
    event_loop loop;
    bool ran = false;
    CHECK(loop.run(number(1)) == 1);
    loop.post([&ran] { ran = true; });
    CHECK_FALSE(ran);
    loop.run([]() -> task<> { co_await sleep_for(1ms); }());
    CHECK(ran);
  }

  TEST_CASE("what was posted and never ran is freed with the loop") {
    {
      event_loop loop;
      loop.post([c = counted(1)] { (void)c; });
      CHECK(counted::alive() == 1);
    }
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("a loop that only waits costs no processor time") {
    event_loop loop;
    const auto used = loop.run([]() -> task<std::chrono::nanoseconds> {
      co_await yield();
      const auto before = cpu_time_of_thread();
      co_await sleep_for(idle_time());
      co_return cpu_time_of_thread() - before;
    }());
    CAPTURE(used.count());
    CHECK(used < 5ms);
  }

  TEST_CASE("an accept and a timer that wait on a loop cost no processor time") {
    event_loop loop;
    const auto used = loop.run(tests::processor_time_of_waiting(idle_time(), cpu_time_of_thread));
    CAPTURE(used.count());
    CHECK(used < 5ms);
  }

  TEST_CASE("several loops run on several threads and talk to each other") {
    event_loop one;
    event_loop two;
    std::atomic<int> calls = 0;
    std::atomic<int> ready = 0;
    const auto main = [&](event_loop& other) {
      return [](event_loop& peer, std::atomic<int>& n, std::atomic<int>& here) -> task<> {
        ++here;
        while (here < 2) {
          co_await sleep_for(100us);
        }
        for (int i = 0; i < 200; ++i) {
          peer.post([&n] { ++n; });
        }
        while (n < 400) {
          co_await sleep_for(100us);
        }
      }(other, calls, ready);
    };
    std::thread thread([&] { two.run(main(one)); });
    one.run(main(two));
    thread.join();
    CHECK(calls == 400);
  }

  TEST_CASE("a second run while one is in progress is refused, and the first one goes on") {
    event_loop loop;
    std::error_code refused;
    const int done = loop.run([](event_loop& busy, std::error_code& why) -> task<int> {
      auto second = [&] {
        try {
          busy.run(number(1));
        } catch (const std::system_error& e) {
          why = e.code();
        }
      };
      co_await blocking(second);
      co_return 2;
    }(loop, refused));
    CHECK(done == 2);
    CHECK(refused == std::errc::resource_deadlock_would_occur);
    CHECK(loop.run(number(3)) == 3);
  }

  TEST_CASE("a posted function may resume many tasks") {
    struct collected {
      std::vector<std::coroutine_handle<>>* all;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) const { all->push_back(h); }
      void await_resume() const noexcept {}
    };
    event_loop loop;
    std::vector<std::coroutine_handle<>> waiting;
    int ended = 0;
    loop.run([](event_loop& home, auto& all, int& count) -> task<> {
      auto body = [&](task_group& g) -> task<> {
        const auto wait = [&]() -> task<> {
          co_await collected{&all};
          const int one = co_await number(1);
          count += one;
        };
        g.spawn_n(100, wait);
        while (all.size() < 100) co_await yield();
        home.post([&all] {
          for (const std::coroutine_handle<> h : all) h.resume();
        });
      };
      co_await with_task_group(body);
    }(loop, waiting, ended));
    CHECK(ended == 100);
  }

  TEST_CASE("a posted function may resume a task that awaits something of its own") {
    struct own_awaitable {
      event_loop* loop;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) const {
        loop->post([h] { h.resume(); });
      }
      void await_resume() const noexcept {}
    };
    event_loop loop;
    const int sum = loop.run([](event_loop& home) -> task<int> {
      int total = 0;
      for (int i = 0; i < 100; ++i) {
        co_await own_awaitable{&home};
        const int one = co_await number(1);  // transfers that the posted function's resume counts
        total += one;
        co_await yield();
      }
      co_return total;
    }(loop));
    CHECK(sum == 100);
  }
}

}  // namespace event_loop_test

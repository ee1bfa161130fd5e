// SPDX-License-Identifier: MIT
#include "weft/sched/thread_pool.hpp"

#include "support/by_handle.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/from_outside.hpp"
#include "support/long_tests.hpp"
#include "support/waiting_tasks.hpp"
#include "support/watched_kernel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/latch.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/small_range.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace thread_pool_test {

using namespace weft;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using tests::counted;

namespace {

task<int> number(int n) { co_return n; }

std::chrono::nanoseconds cpu_time_of_process() noexcept {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

/// 0.05 % of the long one is 5 ms.
std::chrono::milliseconds idle_time() noexcept {
  return std::chrono::milliseconds(tests::repetitions(300, 10'000));
}

/// Two of these end only when they run at the same time: each waits, without an await, for the
/// other.
bool both_are_there(std::atomic<int>& there) {
  ++there;
  const auto give_up = steady::now() + 20s;
  while (there < 2 && steady::now() < give_up) {
    std::this_thread::yield();
  }
  return there == 2;
}
task<std::thread::id> meet(std::atomic<int>& there) {
  (void)both_are_there(there);
  co_return std::this_thread::get_id();
}

task<> nothing() { co_return; }

/// Where two meet, at the same time, on a pool of two workers.
struct meeting {
  thread_pool& pool;
  std::atomic<int> there = 0;
  std::atomic<int> met = 0;

  void take_part_now() {
    if (both_are_there(there)) ++met;
  }
  task<> take_part() {
    take_part_now();
    co_return;
  }
  /// When a group of a few has ended, which both workers may have run. Who has spawned them gives
  /// way before it joins them.
  task<> take_part_after_group() {
    auto spawn_some = [](task_group& group) -> task<> {
      for (int k = 0; k < 3; ++k) group.spawn(nothing);
      co_await yield();
    };
    co_await with_task_group(spawn_some);
    take_part_now();
  }
};

/// Each time `body` runs two meet, and it does not end before.
void two_always_meet(task<> (*body)(meeting&)) {
  thread_pool pool({.workers = 2});
  for (int i = 0; i < 100; ++i) {
    meeting m{.pool = pool};
    pool.run(body(m));
    REQUIRE(m.met == 2);
  }
}

/// The two that have to meet, behind as many forks of which the other child is soon done.
task<bool> meet_behind(int forks, std::atomic<int>& there) {
  if (forks == 0) {
    const auto both = co_await when_all(meet(there), meet(there));
    co_return std::get<0>(both) != std::get<1>(both);
  }
  const auto deeper = co_await when_all(meet_behind(forks - 1, there), nothing());
  co_return std::get<0>(deeper);
}

task<int> fib(int n) {
  if (n < 2) co_return n;
  const auto both = co_await when_all(fib(n - 1), fib(n - 2));
  co_return std::get<0>(both) + std::get<1>(both);
}

task<> add_one(std::atomic<int>& count) {
  ++count;
  co_return;
}

/// Spawns in its own group and in the one around it, in turn; so does a child of its own group.
task<> spawn_here_and_there(task_group& outer, std::atomic<int>& total) {
  std::atomic<int> mine = 0;
  auto body = [&](task_group& inner) -> task<> {
    auto elsewhere = [&]() -> task<> {
      for (int i = 0; i < 40; ++i) outer.spawn(add_one, std::ref(total));
      co_return;
    };
    for (int i = 0; i < 40; ++i) {
      inner.spawn(add_one, std::ref(mine));
      if (i % 8 == 0) outer.spawn(add_one, std::ref(total));
    }
    inner.spawn(elsewhere);
    co_return;
  };
  co_await with_task_group(body);
  if (mine == 40) ++total;
}

}  // namespace

TEST_SUITE("sched/thread_pool") {
  TEST_CASE("a pool has the workers that it was asked for, or one per available core") {
    const thread_pool three({.workers = 3});
    CHECK(three.workers() == 3);
    const thread_pool all;
    CHECK(all.workers() == available_cores());
  }

  TEST_CASE("a pool of one worker runs tasks as well") {
    thread_pool pool({.workers = 1});
    CHECK(pool.run(number(4)) == 4);
  }

  TEST_CASE("coarse forks run side by side, at the top and behind others") {
    for (const int forks : {0, 1, 10, 300}) {
      CAPTURE(forks);
      thread_pool pool({.workers = 2});
      for (int round = 0; round < 20; ++round) {
        std::atomic<int> there = 0;
        CHECK(pool.run(meet_behind(forks, there)));
        CHECK(there == 2);
      }
    }
  }

  TEST_CASE("coarse forks run side by side after a theft") {
    thread_pool pool({.workers = 2});
    for (int round = 0; round < 20; ++round) {
      std::atomic<int> first = 0;
      std::atomic<int> there = 0;
      const bool apart = pool.run([](std::atomic<int>& f, std::atomic<int>& t) -> task<bool> {
        // The second one is stolen, since both are there at once; then its thief comes back.
        auto deeper = [](std::atomic<int>& both, std::atomic<int>& last) -> task<bool> {
          (void)co_await meet(both);
          const bool met = co_await meet_behind(5, last);
          co_return met;
        };
        const auto all = co_await when_all(deeper(f, t), meet(f));
        co_return std::get<0>(all);
      }(first, there));
      CHECK(apart);
      CHECK(there == 2);
    }
  }

  TEST_CASE("coarse children of one when_all are taken one after the other") {
    thread_pool pool({.workers = 2});
    for (int round = 0; round < 20; ++round) {
      std::array<std::atomic<int>, 4> there{};
      pool.run([](std::array<std::atomic<int>, 4>& t) -> task<> {
        small_range<task<std::thread::id>, 8> pairs;
        for (int i = 0; i < 8; ++i) pairs.push_back(meet(t[static_cast<std::size_t>(i / 2)]));
        co_await when_all(std::move(pairs));
      }(there));
      for (const auto& t : there) CHECK(t == 2);
    }
  }

  TEST_CASE("where the system refuses a fence for all threads, forks are joined all the same") {
    struct : tests::forwarding_kernel {
      int heavy_fence() noexcept override { return -ENOSYS; }
    } without_fence;
    thread_pool pool({.workers = 4, .kernel = &without_fence});
    for (int i = 0; i < 10; ++i) CHECK(pool.run(fib(16)) == 987);
  }

  TEST_CASE("groups that are spawned into in turn, by several workers, await all their children") {
    thread_pool pool({.workers = 4});
    for (int i = 0; i < tests::repetitions(20, 1000); ++i) {
      std::atomic<int> total = 0;
      pool.run([](std::atomic<int>& count) -> task<> {
        auto body = [&count](task_group& group) -> task<> {
          for (int k = 0; k < 10; ++k)
            group.spawn(spawn_here_and_there, std::ref(group), std::ref(count));
          co_return;
        };
        co_await with_task_group(body);
      }(total));
      CHECK(total == 10 * (40 + 5 + 1));
    }
  }

  TEST_CASE("a group has ended before the worker of its last child goes on to something else") {
    two_always_meet([](meeting& m) -> task<> {
      auto body = [&](task_group& outer) -> task<> {
        auto spawn_some = [&](task_group& inner) -> task<> {
          for (int k = 0; k < 3; ++k) inner.spawn(nothing);
          outer.spawn([&] { return m.take_part(); });
          co_return;
        };
        co_await with_task_group(spawn_some);
        m.take_part_now();
      };
      co_await with_task_group(body);
    });
  }

  TEST_CASE("a group has ended before the worker of its last child goes on to whom that woke") {
    two_always_meet([](meeting& m) -> task<> {
      event woken;
      auto waits = [&]() -> task<> {
        co_await woken.wait();
        m.take_part_now();
      };
      auto wakes = [&]() -> task<> {
        woken.set();
        co_return;
      };
      auto body = [&](task_group& outer) -> task<> {
        outer.spawn(waits);
        co_await yield();
        auto spawn_some = [&](task_group& inner) -> task<> {
          for (int k = 0; k < 3; ++k) inner.spawn(nothing);
          inner.spawn(wakes);
          co_return;
        };
        co_await with_task_group(spawn_some);
        m.take_part_now();
      };
      co_await with_task_group(body);
    });
  }

  TEST_CASE("a group has ended before who spawned in it goes on to what was forked") {
    two_always_meet(
        [](meeting& m) -> task<> { co_await when_all(m.take_part_after_group(), m.take_part()); });
  }

  TEST_CASE("a group has ended before who spawned in it goes on to a posted function") {
    two_always_meet([](meeting& m) -> task<> {
      event ended;
      std::atomic<void*> waits = nullptr;
      auto spawns = [&]() -> task<> {
        co_await tests::by_handle{&waits};
        co_await m.take_part_after_group();
      };
      auto body = [&](task_group& outer) -> task<> {
        outer.spawn(spawns);
        while (waits == nullptr) co_await yield();
        m.pool.post([&waits] { tests::resume_by_handle(waits); });
        m.pool.post([&m, &ended] {
          m.take_part_now();
          ended.set();
        });
        co_await ended.wait();
      };
      co_await with_task_group(body);
    });
  }

  TEST_CASE("functions that were posted one after the other run at the same time") {
    two_always_meet([](meeting& m) -> task<> {
      latch both(2);
      for (int i = 0; i < 2; ++i) {
        m.pool.post([&] {
          m.take_part_now();
          both.count_down();
        });
      }
      co_await both.wait();
    });
  }

  TEST_CASE("what a posted function posts runs beside it, also when all others slept") {
    two_always_meet([](meeting& m) -> task<> {
      latch both(2);
      const auto take_part = [&] {
        m.take_part_now();
        both.count_down();
      };
      m.pool.post([&] {
        m.pool.post(take_part);
        take_part();
      });
      co_await both.wait();
    });
  }

  TEST_CASE("posted functions let timers pass") {
    constexpr int posted = 200;
    thread_pool pool({.workers = 1});
    std::atomic<int> called = 0;
    const int before = pool.run([](thread_pool& p, std::atomic<int>& n) -> task<int> {
      const auto compute = [&n] {
        const auto end = steady::now() + 1ms;
        while (steady::now() < end) {}
        ++n;
      };
      for (int i = 0; i < posted; ++i) p.post(compute);
      co_await sleep_for(1ms);
      co_return n;
    }(pool, called));
    CHECK(before < 30);
    while (called != posted) std::this_thread::yield();
  }

  TEST_CASE("a group has ended before a task begins whose function resumed who spawned in it") {
    two_always_meet([](meeting& m) -> task<> {
      std::atomic<void*> waits = nullptr;
      auto spawns = [&]() -> task<> {
        co_await tests::by_handle{&waits};
        co_await m.take_part_after_group();
      };
      auto resumes = [&] {
        tests::resume_by_handle(waits);
        return m.take_part();
      };
      auto body = [&](task_group& outer) -> task<> {
        outer.spawn(spawns);
        while (waits == nullptr) co_await yield();
        outer.spawn(resumes);
      };
      co_await with_task_group(body);
    });
  }

  TEST_CASE("several threads run tasks on one pool at once") {
    thread_pool pool({.workers = 2});
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 100; ++k) {
          sum += pool.run(number(1));
        }
      });
    }
    for (std::thread& t : threads) t.join();
    CHECK(sum == 400);
  }

  TEST_CASE("the arguments of when_all run at the same time on different threads") {
    std::atomic<int> there = 0;
    thread_pool pool({.workers = 2});
    pool.run([](std::atomic<int>& n) -> task<> {
      auto both = co_await when_all(meet(n), meet(n));
      CHECK(n == 2);
      CHECK(std::get<0>(both) != std::get<1>(both));
    }(there));
  }

  TEST_CASE("two spawned tasks run at the same time on different threads") {
    std::atomic<int> there = 0;
    thread_pool pool({.workers = 2});
    pool.run([](std::atomic<int>& n) -> task<> {
      auto body = [&n](task_group& g) -> task<> {
        join_handle<std::thread::id> one = g.spawn(meet, std::ref(n));
        join_handle<std::thread::id> two = g.spawn(meet, std::ref(n));
        const std::thread::id first = co_await one;
        const std::thread::id second = co_await two;
        CHECK(first != second);
      };
      co_await with_task_group(body);
    }(there));
  }

  TEST_CASE("a task that computes does not keep the others from running") {
    thread_pool pool({.workers = 2});
    pool.run([]() -> task<> {
      std::atomic<bool> stop = false;
      auto body = [&stop](task_group& g) -> task<> {
        g.spawn(
            [](std::atomic<bool>& flag) -> task<> {
              const auto give_up = steady::now() + 20s;
              while (!flag && steady::now() < give_up) {}
              CHECK(flag);
              co_return;
            },
            std::ref(stop));
        g.spawn(
            [](std::atomic<bool>& flag) -> task<> {
              co_await yield();
              flag = true;
            },
            std::ref(stop));
        co_return;
      };
      co_await with_task_group(body);
    }());
  }

  TEST_CASE("a task that gave way runs elsewhere while a posted function takes long") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 20; ++i) {
      std::atomic<int> there = 0;
      bool met = false;
      pool.run([](thread_pool& home, std::atomic<int>& both, bool& posted_met) -> task<> {
        event called;
        home.post([&] {
          posted_met = both_are_there(both);
          called.set();
        });
        while (both == 0) {
          co_await yield();
        }
        CHECK(both_are_there(both));
        co_await called.wait();
      }(pool, there, met));
      CHECK(met);
    }
  }

  TEST_CASE("a task that gave way runs elsewhere while another one takes long") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 20; ++i) {
      std::atomic<int> there = 0;
      pool.run([](std::atomic<int>& both) -> task<> {
        auto body = [&both](task_group& group) -> task<> {
          group.spawn(meet, std::ref(both));
          co_await yield();
          co_await meet(both);
        };
        co_await with_task_group(body);
      }(there));
      CHECK(there == 2);
    }
  }

  TEST_CASE("a task runs elsewhere while another one takes long, also after many short turns") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 20; ++i) {
      std::atomic<int> there = 0;
      pool.run([](std::atomic<int>& both) -> task<> {
        mutex m;
        auto body = [&](task_group& group) -> task<> {
          auto take_turns = [&m]() -> task<> {
            for (int turn = 0; turn < 2000; ++turn) {
              const auto lock = co_await m.lock();
              co_await yield();
            }
          };
          const auto first = group.spawn(take_turns);
          const auto second = group.spawn(take_turns);
          co_await first;
          co_await second;
          group.spawn(meet, std::ref(both));
          co_await meet(both);
        };
        co_await with_task_group(body);
      }(there));
      CHECK(there == 2);
    }
  }

  TEST_CASE("what completes together runs at the same time") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 20; ++i) {
      std::atomic<int> there = 0;
      pool.run([](std::atomic<int>& both) -> task<> {
        auto body = [&both](task_group& group) -> task<> {
          const auto due = steady::now() + 1ms;
          group.spawn_n(2, [due, &both]() -> task<> {
            co_await sleep_until(due);
            CHECK(both_are_there(both));
          });
          co_return;
        };
        co_await with_task_group(body);
      }(there));
    }
  }

  TEST_CASE("a task that yields while there is no other wakes no worker") {
    tests::watched_kernel kernel;
    thread_pool pool({.workers = 2, .kernel = &kernel});
    pool.run([]() -> task<> {
      for (int i = 0; i < 10'000; ++i) {
        co_await yield();
      }
    }());
    CHECK(kernel.enters < 1000);
  }

  TEST_CASE("workers that have nothing to do cost no processor time") {
    thread_pool pool({.workers = 4});
    CHECK(pool.run(number(1)) == 1);
    std::this_thread::sleep_for(20ms);
    const auto before = cpu_time_of_process();
    std::this_thread::sleep_for(idle_time());
    const auto used = cpu_time_of_process() - before;
    CAPTURE(used.count());
    CHECK(used < 5ms);
  }

  TEST_CASE("an accept and a timer that wait on a pool cost no processor time") {
    thread_pool pool({.workers = 4});
    const auto used = pool.run(tests::processor_time_of_waiting(idle_time(), cpu_time_of_process));
    CAPTURE(used.count());
    CHECK(used < 5ms);
  }

  TEST_CASE("posts from many threads are all called") {
    std::atomic<int> calls = 0;
    thread_pool pool({.workers = 2});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          pool.post([&calls] { ++calls; });
        }
      });
    }
    for (std::thread& t : threads) t.join();
    const auto give_up = steady::now() + 20s;
    while (calls < 2000 && steady::now() < give_up) {
      std::this_thread::yield();
    }
    CHECK(calls == 2000);
  }

  TEST_CASE("a worker that sleeps is woken for what a plain thread completes, again and again") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 300; ++i) {
      event gate;
      std::thread setter([&gate] { gate.set(); });
      pool.run(tests::from_outside([](event& e) -> task<> { co_await e.wait(); }(gate)));
      setter.join();
    }
  }

  TEST_CASE("frames that one worker made are freed by another") {
    thread_pool pool({.workers = 2});
    std::atomic<int> ran = 0;
    pool.run([](std::atomic<int>& n) -> task<> {
      auto body = [&n](task_group& g) -> task<> {
        g.spawn_n(2000, [&n]() -> task<> {
          co_await yield();
          n += co_await number(1);
          co_await yield();
        });
        co_return;
      };
      co_await with_task_group(body);
    }(ran));
    CHECK(ran == 2000);
  }

  TEST_CASE("the frame of the main task is gone when run returns, though the pool lives on") {
    thread_pool pool({.workers = 2});
    for (int i = 0; i < 2000; ++i) {
      std::atomic<int> n = 0;
      struct noted {
        explicit noted(std::atomic<int>& c) noexcept : count(&c) { ++*count; }
        noted(const noted& other) noexcept : count(other.count) { ++*count; }
        ~noted() { --*count; }
        std::atomic<int>* count;
      };
      pool.run([](noted) -> task<> { co_return; }(noted(n)));
      REQUIRE(n == 0);
    }
  }

  TEST_CASE("a pool is destroyed with what was posted to it and never ran") {
    for (int i = 0; i < 50; ++i) {
      {
        thread_pool pool({.workers = 2});
        for (int k = 0; k < 20; ++k) {
          pool.post([c = counted(1)] { (void)c; });
        }
      }
      CHECK(counted::alive() == 0);
    }
  }

  TEST_CASE("destroying a pool on one of its own workers ends the program with a message") {
    const std::string said = tests::dying_words([] {
      auto* pool = new thread_pool({.workers = 2});
      pool->run([](thread_pool* own) -> task<> {
        delete own;
        co_return;
      }(pool));
    });
    CHECK(said.find("it would join itself") != std::string::npos);
  }
}

}  // namespace thread_pool_test

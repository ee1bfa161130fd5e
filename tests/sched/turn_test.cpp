// SPDX-License-Identifier: MIT
// Fairness, counted in resumes: beside a task that never waits, a woken task, a posted function, a
// timer and an operation that has completed are served after a bounded number of them. On an event
// loop and on a pool of one worker, where no other worker can help.
#include "weft/sched/detail/turn.hpp"

#include "support/both_schedulers.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/ring_operations.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace turn_test {

using namespace weft;
using namespace std::chrono_literals;
using detail::forks_in_a_row;
using detail::resumes_per_turn;

namespace {

/// What is asked for while a hog runs, and after how many resumes it came.
struct served {
  bool done = false;
  std::uint64_t asked_at = 0;
  std::uint64_t after = 0;

  void ask() { asked_at = detail::current_worker()->resumes; }
  void serve() {
    after = detail::current_worker()->resumes - asked_at;
    done = true;
  }
};

task<int> number(int n) { co_return n; }

/// Calls `round()` until `s` is served. Where it never is the test fails, it does not hang.
template <class Round>
task<> until_served(const served& s, Round round) {
  for (int i = 0; i < 100'000 && !s.done; ++i) {
    (void)co_await round();
  }
  CHECK(s.done);
}

// Tasks that keep their thread busy until something is served.

struct forks_and_joins {
  static task<> until(const served& s) {
    return until_served(s, [] { return when_all(number(1), number(2)); });
  }
};

struct forks_deeply {
  static task<int> fib(int n) {
    if (n < 2) co_return n;
    const auto both = co_await when_all(fib(n - 1), fib(n - 2));
    co_return std::get<0>(both) + std::get<1>(both);
  }
  static task<> until(const served& s) {
    return until_served(s, [] { return fib(8); });
  }
};

struct has_many_children {
  static constexpr int children_max = 100'000;

  static task<> until(const served& s) {
    int too_early = 0;
    const auto child = [](const served& yet, int& count) -> task<> {
      if (!yet.done) ++count;
      co_return;
    };
    std::vector<task<>> children;
    for (int i = 0; i < children_max; ++i) children.push_back(child(s, too_early));
    co_await when_all(std::move(children));
    CHECK(too_early < children_max);
  }
};

struct opens_empty_groups {
  static task<> until(const served& s) {
    return until_served(s,
                        [] { return with_task_group([](task_group&) -> task<> { co_return; }); });
  }
};

/// Ready awaits use up its budget, then it only forks and joins, and awaits what ends at once.
struct forks_without_budget {
  static task<> until(const served& s) {
    event open;
    open.set();
    co_await yield();
    for (unsigned i = 0; i < detail::worker::budget_max; ++i) co_await open.wait();
    for (int i = 0; i < 2; ++i) (void)co_await number(1);
    for (int i = 0; i < 100'000 && !s.done; ++i) {
      for (int k = 0; k < 2; ++k) (void)co_await number(1);
      (void)co_await when_all(number(1), number(2), number(3));
    }
    CHECK(s.done);
  }
};

struct spawns_what_ends_as_it_begins {
  static task<> next(task_group& g, const served& s, int& left) {
    if (!s.done && --left != 0) g.spawn(&next, std::ref(g), std::cref(s), std::ref(left));
    throw std::runtime_error("before a coroutine was made");
  }
  static task<> until(const served& s) {
    int left = 100'000;
    auto body = [&](task_group& g) -> task<> {
      g.spawn(&next, std::ref(g), std::cref(s), std::ref(left));
      co_return;
    };
    try {
      co_await with_task_group({.fail_fast = false}, body);
    } catch (const std::runtime_error&) {
      CHECK(s.done);
    }
  }
};

/// Under a stopped scope, where nothing starts.
template <class Round>
task<> until_served_in_a_stopped_scope(const served& s, Round round) {
  auto body = [&](task_group& g) -> task<> {
    g.cancel();
    co_await until_served(s, round);
  };
  co_await with_task_group(body);
}

struct ignores_refused_groups {
  static task<> until(const served& s) {
    return until_served_in_a_stopped_scope(
        s, [] { return as_result(with_task_group([](task_group&) -> task<> { co_return; })); });
  }
};

struct ignores_refused_trips {
  static task<> until(const served& s) {
    return until_served_in_a_stopped_scope(
        s, [] { return as_result(on(*detail::current_worker()->home, number(1))); });
  }
};

/// Calls `body(scheduler, s)` with an event loop and with a pool of one worker.
template <class Body>
void on_one_worker(std::uint64_t resumes_max, Body body) {
  const tests::nothing_left_behind guard;
  const auto measure = [&](auto& scheduler) {
    served s;
    scheduler.run(body(scheduler, s));
    CHECK(s.done);
    CHECK(s.after <= resumes_max);
  };
  event_loop loop;
  measure(loop);
  thread_pool pool({.workers = 1});
  measure(pool);
}

/// `server(gate)` waits for the gate and is served later; the hog runs as soon as the gate opens.
template <class Hog, class Server>
task<> beside_a_hog(const served& s, Server server) {
  event gate;
  auto body = [&](task_group& g) -> task<> {
    join_handle<void> other = g.spawn([&] { return server(gate); });
    co_await yield();
    gate.set();
    co_await Hog::until(s);
    co_await other;
  };
  co_await with_task_group(body);
}

/// The real kernel with a clock that only moves while somebody says that he computes.
struct computing_kernel final : tests::forwarding_kernel {
  std::int64_t now() noexcept override { return time; }
  std::int64_t time = 1'000'000'000;
};

/// Says that it has computed for `ns`.
struct computes {
  computing_kernel& kernel;
  std::int64_t ns;
  void operator()() const noexcept { kernel.time += ns; }
};

/// Tasks that compute for a time before each thing that they do without waiting, until `done`.
struct forks_after_computing {
  static task<> leaf(computes c) {
    c();
    co_return;
  }
  static task<> tree(computes c, int depth) {
    if (depth == 0)
      co_await leaf(c);
    else
      co_await when_all(tree(c, depth - 1), tree(c, depth - 1));
  }
  static task<> until(computes c, const bool& done) {
    for (int i = 0; i < 100'000 && !done; ++i) {
      co_await tree(c, 10);
    }
  }
};
struct forks_many_after_a_ready_await {
  static task<> until(computes c, const bool& done) {
    event always;
    always.set();
    for (int i = 0; i < 100'000 && !done; ++i) {
      co_await always.wait();
      std::vector<task<>> leaves;
      for (int k = 0; k < 100; ++k) leaves.push_back(forks_after_computing::leaf(c));
      co_await when_all(std::move(leaves));
    }
  }
};
struct yields_after_computing {
  static task<> until(computes c, const bool& done) {
    for (int i = 0; i < 10'000'000 && !done; ++i) {
      c();
      co_await yield();
    }
  }
};
struct locks_after_computing {
  static task<> until(computes c, const bool& done) {
    event always;
    always.set();
    for (int i = 0; i < 10'000'000 && !done; ++i) {
      c();
      co_await always.wait();
    }
  }
};

/// Beside `Hog`, whose stretches take `stretch_ns`, a timer of 1 ms is due again and again: how
/// late it is served, but for the first times, in which the worker learns how long they take.
template <class Hog>
void timer_beside_a_hog(run_options options, std::int64_t stretch_ns) {
  constexpr std::int64_t ms = 1'000'000;
  computing_kernel kernel;
  options.kernel = &kernel;
  std::int64_t latest_ns = 0;
  run(options, [](computes c, std::int64_t& latest) -> task<> {
    bool done = false;
    auto body = [&](task_group& g) -> task<> {
      g.spawn(Hog::until, c, std::cref(done));
      for (int i = 0; i < 100; ++i) {
        const std::int64_t due = c.kernel.time + ms;
        co_await sleep_for(1ms);
        if (i >= 10) latest = std::max(latest, c.kernel.time - due);
      }
      done = true;
    };
    co_await with_task_group(body);
  }(computes{kernel, stretch_ns}, latest_ns));
  CHECK(latest_ns <= 3 * ms + 2 * stretch_ns);
}

}  // namespace

#define COMPUTING_HOGS                                                           \
  forks_after_computing, forks_many_after_a_ready_await, yields_after_computing, \
      locks_after_computing

#define HOGS                                                                                    \
  forks_and_joins, forks_deeply, has_many_children, opens_empty_groups, ignores_refused_groups, \
      ignores_refused_trips, spawns_what_ends_as_it_begins, forks_without_budget

TEST_SUITE("sched/turn") {
  TEST_CASE_TEMPLATE("a woken task waits for a bounded number of resumes", Hog, HOGS) {
    on_one_worker(forks_in_a_row + 2, [](auto&, served& s) {
      return beside_a_hog<Hog>(s, [&s](event& gate) -> task<> {
        s.ask();
        co_await gate.wait();
        s.serve();
      });
    });
  }

  TEST_CASE_TEMPLATE("a posted function waits for a bounded number of resumes", Hog, HOGS) {
    on_one_worker(resumes_per_turn + 2, [](auto& scheduler, served& s) {
      return beside_a_hog<Hog>(s, [&](event&) -> task<> {
        s.ask();
        scheduler.post([&s] { s.serve(); });
        co_return;
      });
    });
  }

  TEST_CASE_TEMPLATE("a timer that is due waits for a bounded number of resumes", Hog, HOGS) {
    on_one_worker(resumes_per_turn + forks_in_a_row + 2, [](auto&, served& s) {
      return beside_a_hog<Hog>(s, [&s](event& gate) -> task<> {
        co_await gate.wait();
        s.ask();
        co_await sleep_for(1ns);
        s.serve();
      });
    });
  }

  TEST_CASE_TEMPLATE("what has completed in the kernel waits for a bounded number of resumes", Hog,
                     HOGS) {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    on_one_worker(resumes_per_turn + forks_in_a_row + 2, [fd](auto& scheduler, served& s) {
      return beside_a_hog<Hog>(s, [&scheduler, &s, fd](event& gate) -> task<> {
        co_await gate.wait();
        // Comes in the next turn, when the kernel has the operation: its completion is news.
        scheduler.post([&s, fd] {
          s.ask();
          CHECK(::eventfd_write(fd, 1) == 0);
        });
        tests::poll_operation readable(fd, POLLIN);
        (void)co_await readable;
        s.serve();
        eventfd_t taken = 0;
        CHECK(::eventfd_read(fd, &taken) == 0);
      });
    });
    ::close(fd);
  }

  TEST_CASE("a timer is due beside a thousand operations that are always ready, and comes") {
    // Each of them goes on once at most before the timer's task has its turn.
    static constexpr unsigned operations = 1000;
    on_one_worker(operations + resumes_per_turn + 2, [](auto&, served& s) -> task<> {
      auto always_ready = [&s]() -> task<> {
        for (int i = 0; i < 1000 && !s.done; ++i) {
          tests::nop op;
          (void)co_await op;
        }
        CHECK(s.done);
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn_n(operations, always_ready);
        for (int i = 0; i < 3; ++i) co_await yield();  // they are under way
        s.ask();
        co_await sleep_for(1ns);
        s.serve();
      };
      co_await with_task_group(body);
    });
  }

  TEST_CASE_TEMPLATE("a timer is served in time beside a task that computes between its awaits",
                     Hog, COMPUTING_HOGS) {
    for (const std::int64_t stretch_ns : {100, 5'000, 100'000, 1'000'000}) {
      CAPTURE(stretch_ns);
      timer_beside_a_hog<Hog>({.workers = 1}, stretch_ns);
    }
  }
}

#undef COMPUTING_HOGS
#undef HOGS

}  // namespace turn_test

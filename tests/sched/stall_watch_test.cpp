// SPDX-License-Identifier: MIT
#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/detail/stack_sample.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace stall_watch_test {

using namespace weft;
using namespace std::chrono_literals;

namespace {

/// What was reported; a plain function is all that .on_stall takes.
class heard_reports {
public:
  static void hear(std::string_view report) {
    const std::lock_guard lock(only().mutex_);
    only().reports_.emplace_back(report);
    only().changed_.notify_all();
  }
  static std::vector<std::string> take() {
    const std::lock_guard lock(only().mutex_);
    return std::exchange(only().reports_, {});
  }
  /// Blocks the thread until there are `n`; false when they did not come for a minute.
  static bool wait_for(std::size_t n) {
    std::unique_lock lock(only().mutex_);
    return only().changed_.wait_for(lock, 1min, [&] { return only().reports_.size() >= n; });
  }

private:
  static heard_reports& only() {
    static heard_reports all;
    return all;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> reports_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// More than a busy machine keeps a thread from running.
constexpr auto held_up = 150ms;

template <class Body>
void on_both_watched(Body body) {
  tests::on_both([&](run_options o) {
    o.stall_after = held_up;
    o.on_stall = &heard_reports::hear;
    heard_reports::take();
    body(o);
  });
}

task<bool> block_until_reported() {
  co_await yield();
  co_return heard_reports::wait_for(1);
}

/// What `stall`, which is reported once, is reported with; once more, at most four times, when the
/// thread did not get to giving its stack in time.
template <class Stall>
std::string report_with_stack(Stall stall) {
  std::string report;
  for (int i = 0; i < 5; ++i) {
    stall();
    const auto reports = heard_reports::take();
    REQUIRE(reports.size() == 1);
    report = reports[0];
    if (!has(report, "did not answer")) break;
  }
  return report;
}

task<> ask_in_vain(int times) {
  for (int i = 0; i < times; ++i) (void)co_await as_result(sleep_for(1h));
}

task<> in_a_stopped_group(int times) {
  auto body = [times](task_group& g) -> task<> {
    g.cancel();
    g.spawn(ask_in_vain, times);
    co_return;
  };
  co_await with_task_group(body);
}

}  // namespace

TEST_SUITE("sched/stall_watch") {
  TEST_CASE("a task that blocks its worker is reported, with its name, its line and its stack") {
    on_both_watched([](const run_options& o) {
      const std::string report = report_with_stack([&] { CHECK(run(o, block_until_reported())); });
      CHECK(has(report, o.workers == 1 ? "the event loop has been kept busy" : "worker "));
      CHECK(has(report, "block_until_reported, which came back from "));
      CHECK(has(report, "for more than 150 ms by "));
      CHECK(has(report, "stall_watch_test.cpp:"));
      CHECK(has(report, "weft::blocking"));
      CHECK(has(report, "#0 "));
      CHECK(has(report, "#4 "));
    });
  }

  TEST_CASE("one that goes on blocking is not reported again") {
    on_both_watched([](const run_options& o) {
      auto block = []() -> task<> {
        co_await yield();
        CHECK(heard_reports::wait_for(1));
        // Many more looks at the same stretch.
        const auto end = std::chrono::steady_clock::now() + 2 * held_up;
        while (std::chrono::steady_clock::now() < end) {}
      };
      run(o, block());
      CHECK(heard_reports::take().size() == 1);
    });
  }

  TEST_CASE("the other worker's tasks go on while one is blocked") {
    heard_reports::take();
    auto beside = [](std::atomic<bool>& done) -> task<> {
      for (int i = 0; i < 100; ++i) co_await sleep_for(10us);
      done = true;
    };
    std::atomic<bool> done{false};
    auto body = [&](task_group& g) -> task<> {
      g.spawn(beside, std::ref(done));
      const bool reported = co_await block_until_reported();
      CHECK(reported);
    };
    run({.workers = 2, .stall_after = 10ms, .on_stall = &heard_reports::hear},
        with_task_group(body));
    CHECK(done);
    heard_reports::take();
  }

  TEST_CASE("waiting is no stall") {
    on_both_watched([](const run_options& o) {
      auto wait = []() -> task<> { co_await sleep_for(2 * held_up); };
      run(o, wait());
      CHECK(heard_reports::take().empty());
    });
  }

  TEST_CASE("a task that lets others run is no stall, however long it computes") {
    on_both_watched([](const run_options& o) {
      auto compute = []() -> task<> {
        const auto end = std::chrono::steady_clock::now() + 500ms;
        while (std::chrono::steady_clock::now() < end) co_await yield();
      };
      // The system may keep the worker from its processor for long enough: hardly three times.
      bool silent = false;
      for (int i = 0; i < 3 && !silent; ++i) {
        run(o, compute());
        silent = heard_reports::take().empty();
      }
      CHECK(silent);
    });
  }

  TEST_CASE("further stalls within a second are counted, and told at the end") {
    on_both_watched([](run_options o) {
      o.stall_after = 1ms;
      auto block = []() -> task<> {
        CHECK(heard_reports::wait_for(1));
        co_await yield();
        // Less than a second; the watch, which needs some milliseconds, may be held up.
        const auto end = std::chrono::steady_clock::now() + 700ms;
        while (std::chrono::steady_clock::now() < end) {}
      };
      run(o, block());
      const auto reports = heard_reports::take();
      REQUIRE(reports.size() == 2);
      CHECK(has(reports[1], "(1 more since the report before.)"));
    });
  }

  TEST_CASE("a posted function that blocks is reported") {
    heard_reports::take();
    const std::string report = report_with_stack([] {
      thread_pool pool({.workers = 1, .stall_after = 10ms, .on_stall = &heard_reports::hear});
      pool.post([] { CHECK(heard_reports::wait_for(1)); });
      CHECK(heard_reports::wait_for(1));
    });
    CHECK(has(report, "by a posted function, and"));
  }

  TEST_CASE("a program that handles SIGURG itself keeps its handler, and gets no stack") {
    on_both_watched([](const run_options& o) {
      const auto before = std::signal(SIGURG, [](int) {});
      CHECK(run(o, block_until_reported()));
      std::signal(SIGURG, before);
      const auto reports = heard_reports::take();
      REQUIRE(reports.size() == 1);
      CHECK(has(reports[0], "(No stack: the program handles SIGURG itself.)"));
    });
  }

  TEST_CASE("a forked child that has inherited the handler gets its stacks") {
    const detail::stack_sampler inherited;
    const tests::child_end end = tests::in_child([] {
      const std::string report = report_with_stack([] {
        run({.stall_after = 10ms, .on_stall = &heard_reports::hear}, block_until_reported());
      });
      return has(report, "#0 ") ? 0 : 1;
    });
    CHECK(end.exited_with(0));
  }

  TEST_CASE("a run ends while its report is still being heard") {
    static std::atomic<bool> run_has_ended{false};
    run_has_ended = false;
    heard_reports::take();
    event_loop loop({.stall_after = 10ms, .on_stall = [](std::string_view report) {
                       heard_reports::hear(report);
                       const auto end = std::chrono::steady_clock::now() + 1min;
                       while (!run_has_ended && std::chrono::steady_clock::now() < end)
                         std::this_thread::yield();
                     }});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(loop.run(block_until_reported()));
    CHECK(std::chrono::steady_clock::now() - begin < 1min);
    run_has_ended = true;
  }

  TEST_CASE("the handler of SIGURG goes with the last scheduler that needs it") {
    on_both_watched([](const run_options& o) {
      auto look = []() -> task<bool> {
        struct sigaction now{};
        sigaction(SIGURG, nullptr, &now);
        co_return (now.sa_flags & SA_SIGINFO) != 0;
      };
      CHECK(run(o, look()));
      struct sigaction after{};
      sigaction(SIGURG, nullptr, &after);
      CHECK((after.sa_handler == SIG_DFL));
    });
  }

  TEST_CASE("a task that goes on after 1000 refused awaits is named, once") {
    on_both_watched([](run_options o) {
      o.stall_after = 1h;  // refusals alone are reported
      run(o, in_a_stopped_group(3000));
      auto reports = heard_reports::take();
      REQUIRE(reports.size() == 1);
      CHECK(has(reports[0], "ask_in_vain goes on although its scope is stopped: 1000 awaits"));
      CHECK(has(reports[0], "stall_watch_test.cpp:"));
    });
  }

  TEST_CASE("so is one that is refused in a scope of its own each time") {
    on_both_watched([](run_options o) {
      o.stall_after = 1h;  // refusals alone are reported
      auto ask = [](int times) -> task<> {
        for (int i = 0; i < times; ++i) (void)co_await as_result(with_timeout(1h, ask_in_vain(1)));
      };
      auto body = [&](task_group& g) -> task<> {
        g.cancel();
        g.spawn(ask, 1500);
        co_return;
      };
      run(o, with_task_group(body));
      CHECK(heard_reports::take().size() == 1);
    });
  }

  TEST_CASE("fewer refusals are nobody's concern, and a closed scope begins a new count") {
    on_both_watched([](run_options o) {
      o.stall_after = 1h;  // refusals alone are reported
      auto many = []() -> task<> {
        for (int i = 0; i < 3; ++i) {
          auto late = []() -> task<> {
            co_await ask_in_vain(900);
            co_await yield();
          };
          (void)co_await as_result(with_timeout(0ns, late()));
        }
      };
      run(o, many());
      CHECK(heard_reports::take().empty());
    });
  }

  TEST_CASE("nothing is reported unless it is asked for") {
    tests::on_both([](run_options o) {
      o.on_stall = &heard_reports::hear;
      heard_reports::take();
      run(o, in_a_stopped_group(3000));
      CHECK(heard_reports::take().empty());
    });
  }
}

}  // namespace stall_watch_test

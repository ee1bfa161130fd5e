// SPDX-License-Identifier: MIT
// The options .stop_on and .grace.

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sys/wait.h>

namespace stop_on_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::child_end;
using tests::in_child;
using tests::on_both;
using tests::test_kernel;

namespace {

struct thrown {
  std::error_code code{};
  std::string what{};
};

/// What run throws.
template <class Run>
thrown thrown_by(Run run) {
  try {
    run();
  } catch (const std::system_error& e) {
    return {e.code(), e.what()};
  }
  return {};
}

bool names(const thrown& t, const char* signal) {
  return t.code == std::errc::operation_canceled &&
         t.what.find(std::string("run: stopped by ") + signal) != std::string::npos;
}

task<> raise_and_wait(int number) {
  std::raise(number);
  co_await sleep_for(1h);
}

bool is_default(int number) {
  struct sigaction now{};
  ::sigaction(number, nullptr, &now);
  return now.sa_handler == SIG_DFL;
}

int signal_of(const child_end& end) { return WIFSIGNALED(end.status) ? WTERMSIG(end.status) : 0; }

}  // namespace

TEST_SUITE("sched/stop_on") {
  TEST_CASE("the first signal stops the main task, and run throws an error that names it") {
    on_both([](run_options options) {
      options.stop_on = {SIGUSR1, SIGUSR2};
      CHECK(names(thrown_by([&] { run(options, raise_and_wait(SIGUSR1)); }), "SIGUSR1"));
      CHECK(names(thrown_by([&] { run(options, raise_and_wait(SIGUSR2)); }), "SIGUSR2"));
      CHECK(is_default(SIGUSR1));
      CHECK(is_default(SIGUSR2));
    });
  }

  TEST_CASE("a real-time signal is named by its number") {
    const run_options options{.stop_on = {SIGRTMAX}};
    CHECK(names(thrown_by([&] { run(options, raise_and_wait(SIGRTMAX)); }), "signal 64"));
  }

  TEST_CASE("a main task that ends in spite of the signal gives its value") {
    on_both([](run_options options) {
      options.stop_on = {SIGUSR1};
      const int value = run(options, []() -> task<int> {
        std::raise(SIGUSR1);
        const result<void> rested = co_await as_result(sleep_for(1h));
        co_return rested ? 0 : 7;
      }());
      CHECK(value == 7);
    });
  }

  TEST_CASE("what else escapes a stopped main task is rethrown") {
    on_both([](run_options options) {
      options.stop_on = {SIGUSR1};
      CHECK_THROWS_WITH_AS(run(options,
                               []() -> task<> {
                                 std::raise(SIGUSR1);
                                 const result<void> rested = co_await as_result(sleep_for(1h));
                                 if (!rested) throw std::runtime_error("while stopping");
                               }()),
                           "while stopping", std::runtime_error);
    });
  }

  TEST_CASE("the signal reaches the children of the main task") {
    on_both([](run_options options) {
      options.stop_on = {SIGUSR1};
      std::atomic<int> unwound = 0;
      auto children = [&unwound](task_group& group) -> task<> {
        for (int i = 0; i < 20; ++i)
          (void)group.spawn(
              [](std::atomic<int>& count) -> task<> {
                const result<void> rested = co_await as_result(sleep_for(1h));
                if (!rested) ++count;
              },
              std::ref(unwound));
        co_await yield();
        std::raise(SIGUSR1);
      };
      (void)thrown_by([&] { run(options, with_task_group(children)); });
      CHECK(unwound == 20);
    });
  }

  TEST_CASE("a run without a signal gives its value and puts the old actions back") {
    on_both([](run_options options) {
      options.stop_on = {SIGUSR1};
      options.grace = 1h;
      const int value = run(options, []() -> task<int> {
        CHECK_FALSE(is_default(SIGUSR1));
        co_await yield();
        co_return 3;
      }());
      CHECK(value == 3);
      CHECK(is_default(SIGUSR1));
    });
  }

  TEST_CASE("a loop and a pool catch the signals during their runs only") {
    const run_options options{.workers = 2, .stop_on = {SIGUSR1}};
    event_loop loop(options);
    thread_pool pool(options);
    CHECK(is_default(SIGUSR1));
    for (int i = 0; i < 2; ++i) {
      CHECK(names(thrown_by([&] { loop.run(raise_and_wait(SIGUSR1)); }), "SIGUSR1"));
      CHECK(names(thrown_by([&] { pool.run(raise_and_wait(SIGUSR1)); }), "SIGUSR1"));
      CHECK(is_default(SIGUSR1));
    }
  }

  TEST_CASE("a signal stops every run that has asked for it") {
    thread_pool pool({.workers = 2, .stop_on = {SIGUSR1}});
    std::atomic<int> ready = 0;
    std::atomic<int> named = 0;
    const auto wait = [](std::atomic<int>& count) -> task<> {
      ++count;
      co_await sleep_for(1h);
    };
    const auto on_the_pool = [&] {
      if (names(thrown_by([&] { pool.run(wait(ready)); }), "SIGUSR1")) ++named;
    };
    std::thread one(on_the_pool);
    std::thread two(on_the_pool);
    std::thread three([&] {
      if (names(thrown_by([&] { run({.stop_on = {SIGUSR1}}, wait(ready)); }), "SIGUSR1")) ++named;
    });
    while (ready != 3) std::this_thread::yield();
    std::raise(SIGUSR1);
    one.join();
    two.join();
    three.join();
    CHECK(named == 3);
  }

  TEST_CASE("a second signal ends the program while the first is being worked on") {
    for (const unsigned workers : {1u, 2u}) {
      for (const int second : {SIGUSR1, SIGUSR2}) {
        const child_end end = in_child([workers, second] {
          run({.workers = workers, .stop_on = {SIGUSR1, SIGUSR2}}, [](int again) -> task<> {
            std::raise(SIGUSR1);
            const result<void> rested = co_await as_result(sleep_for(1h));
            if (!rested) std::raise(again);
          }(second));
          return 0;
        });
        CHECK(signal_of(end) == second);
      }
    }
  }

  TEST_CASE("an empty set catches nothing") {
    class refusing_kernel final : public tests::forwarding_kernel {
    public:
      int catch_signals(std::uint64_t, signal_catch) noexcept override { return -EMFILE; }
    };
    on_both([](run_options options) {
      refusing_kernel k;
      options.kernel = &k;
      CHECK(run(options, []() -> task<int> { co_return 3; }()) == 3);
      options.stop_on = {SIGUSR1};
      const thrown t = thrown_by([&] { run(options, raise_and_wait(SIGUSR1)); });
      CHECK(t.code == std::errc::too_many_files_open);
      CHECK(t.what.find(".stop_on") != std::string::npos);
    });
  }

  TEST_CASE("who ends within the grace is not hurried") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      test_kernel k;
      bool cleaned_up = false;
      const auto slow_to_end = [](test_kernel& kernel, bool& done) -> task<> {
        if (kernel.send_signal(SIGTERM) != 1) co_return;
        const result<void> rested = co_await as_result(sleep_for(24h));
        if (rested) co_return;
        auto clean_up = shield(sleep_for(59min), 24h);
        co_await std::move(clean_up);
        done = true;
        co_await sleep_for(1h);
      };
      const run_options options{
          .workers = workers, .kernel = &k, .stop_on = {SIGINT, SIGTERM}, .grace = 1h};
      CHECK(names(thrown_by([&] { run(options, slow_to_end(k, cleaned_up)); }), "SIGTERM"));
      CHECK(cleaned_up);
      CHECK(k.world.open_descriptors() == 0);
    }
  }

  TEST_CASE("after the grace the program ends by the signal and says what is left") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const child_end end = in_child([workers] {
        std::signal(SIGTERM, SIG_DFL);
        test_kernel k;
        const auto too_slow = [](test_kernel& kernel) -> task<> {
          (void)kernel.send_signal(SIGTERM);
          auto clean_up = shield(sleep_for(2h), 24h);
          co_await std::move(clean_up);
        };
        run({.workers = workers, .kernel = &k, .stop_on = {SIGTERM}, .grace = 90min}, too_slow(k));
        return 0;
      });
      CHECK(signal_of(end) == SIGTERM);
      CHECK(end.said.find("weft: run was stopped by SIGTERM, and 5400 s later") == 0);
      CHECK(end.said.find("What is left:\n") != std::string::npos);
      CHECK(end.said.find("waits for sleep") != std::string::npos);
    }
  }

  TEST_CASE("a signal whose default action is to go on ends the program after the grace, too") {
    const child_end end = in_child([] {
      run({.stop_on = {SIGURG}, .grace = 1ms}, []() -> task<> {
        std::raise(SIGURG);
        auto stubborn = shield(sleep_for(1h), 1h);
        co_await std::move(stubborn);
      }());
      return 0;
    });
    CHECK(end.exited_with(128 + SIGURG));
  }
}

}  // namespace stop_on_test

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/signal_watch.hpp"

#include "weft/runtime/sleep.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/detail/task_report.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

namespace weft::detail {

namespace {

/// An operation in flight that keeps no task waiting.
class own_operation {
public:
  explicit own_operation(scheduler& home) noexcept : hosting_(home.hosting()) {
    // relaxed: who reads it has seen everybody asleep, under a lock
    hosting_.own_operations.fetch_add(1, std::memory_order_relaxed);
  }
  own_operation(const own_operation&) = delete;
  own_operation& operator=(const own_operation&) = delete;
  ~own_operation() {
    hosting_.own_operations.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
  }

private:
  hosting& hosting_;
};

/// Ends the program as a second signal would; nothing is freed.
[[noreturn]] void give_up(int number, std::chrono::nanoseconds grace, scheduler& home) {
  std::string left;
  try {
    left = tasks_text(home);
  } catch (const std::exception&) {
    left = "(no memory to say what)\n";
  }
  std::fprintf(stderr,
               "weft: run was stopped by %s, and %g s later not everything has ended; the program "
               "ends now. What is left:\n%s",
               signal_name(number).c_str(), std::chrono::duration<double>(grace).count(),
               left.c_str());
  // It has its default action, since it has come.
  std::raise(number);
  std::_Exit(128 + number);  // that action is to go on, or somebody else waits for it again
}

task<> stop_on_signal(caught_signals& caught, main_task_base& main,
                      std::chrono::nanoseconds grace) {
  result<int> number;
  {
    const own_operation watching(main.home());
    signal_arrival arrival(caught);
    number = co_await arrival;
  }
  if (!number) {
    // The run has ended; or the kernel was out of memory, and then they end the program.
    (void)caught.release();
    co_return;
  }
  main.stop_on_signal(*number);
  if (grace <= grace.zero()) co_return;
  sleep_operation rest = sleep_for(grace);
  co_await rest;  // cancelled when the run has ended
  // The thread that called run may not have come to that yet.
  if (!main.has_ended()) give_up(*number, grace, main.home());
}

task<> dump_on_signal(caught_signals& caught, scheduler& home) {
  for (;;) {
    result<int> number;
    {
      const own_operation watching(home);
      signal_arrival arrival(caught);
      number = co_await arrival;
    }
    if (!number) co_return;
    try {
      std::fprintf(stderr, "weft: the tasks of this run:\n%s", tasks_text(home).c_str());
    } catch (const std::exception& e) {
      std::fprintf(stderr, "weft: the tasks of this run: %s\n", e.what());
    }
  }
}

}  // namespace

signal_watch::~signal_watch() {
  if (!started_) return;
  body_.request_stop();
  body_.wait();
}

void signal_watch::start() {
  body_.prepare();
  body_.launch();
  started_ = true;
}

signal_watches::signal_watches(scheduler& home, kernel& k, const run_options& o,
                               main_task_base& main) {
  if (!o.dump_on.empty())
    dump_.emplace(home, k, o.dump_on, signal_catch::every, "run: catching the signals of .dump_on",
                  [&](caught_signals& caught) { return dump_on_signal(caught, home); });
  if (!o.stop_on.empty())
    stop_.emplace(home, k, o.stop_on, signal_catch::first, "run: catching the signals of .stop_on",
                  [&](caught_signals& caught) { return stop_on_signal(caught, main, o.grace); });
}

void signal_watches::start() {
  if (dump_) dump_->start();
  if (stop_) stop_->start();
}

}  // namespace weft::detail

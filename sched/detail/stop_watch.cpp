// SPDX-License-Identifier: MIT
#include "weft/sched/detail/stop_watch.hpp"

#include "weft/runtime/sleep.hpp"
#include "weft/runtime/worker.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace weft::detail {

namespace {

// The watch itself: its root and its body.
constexpr std::int64_t frames_of_the_watch = 2;

/// Ends the program as a second signal would; nothing is freed.
[[noreturn]] void give_up(int number, std::chrono::nanoseconds grace, const scheduler& home) {
  const double seconds = std::chrono::duration<double>(grace).count();
  std::string in_flight;
  if (!home.shared())  // another worker's are its own
    in_flight = ", " + std::to_string(current_worker()->ring->in_flight()) +
                " operations in flight on this event loop";
  std::fprintf(stderr,
               "weft: run was stopped by %s, and %g s later not everything has ended: %lld "
               "coroutines in this process%s; the program ends now\n",
               signal_name(number).c_str(), seconds,
               static_cast<long long>(live_frames() - frames_of_the_watch), in_flight.c_str());
  // It has its default action, since it has come.
  std::raise(number);
  std::_Exit(128 + number);  // that action is to go on, or somebody else waits for it again
}

task<> watch_for(caught_signals& caught, main_task_base& main, std::chrono::nanoseconds grace) {
  signal_arrival arrival(caught);
  const result<int> number = co_await arrival;
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

}  // namespace

stop_watch::stop_watch(scheduler& home, kernel& k, const run_options& o, main_task_base& main)
    : caught_(k, o.stop_on, "run: catching the signals of .stop_on"),
      watch_(home, watch_for(caught_, main, o.grace)) {}

stop_watch::~stop_watch() {
  if (!started_) return;
  watch_.request_stop();
  watch_.wait();
}

void stop_watch::start() {
  watch_.prepare();
  watch_.launch();
  started_ = true;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
// Ways to stop what takes too long, and what each looks like from inside and from outside.
//
//     timeout_and_cancel [--workers N]
//
// Nobody passes a token and nobody checks one: whoever opens a scope (a time limit, when_any, a
// group) can stop all that is inside. Inside, the await that is under way throws weft::cancelled;
// the scope ends when everything in it has ended, and tells its caller what became of it.

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <system_error>

using namespace std::chrono_literals;

void print(const char* text) { std::printf("  %s\n", text); }

/// Works for so long, and says how it ended.
weft::task<int> work(std::chrono::milliseconds time) {
  try {
    co_await weft::sleep_for(time);
  } catch (const weft::cancelled&) {
    print("inside:  cancelled");
    throw;  // always: it is on its way to whoever stopped us
  }
  print("inside:  finished");
  co_return 42;
}

weft::task<> clean_up() {
  co_await weft::sleep_for(1ms);
  print("clean-up: awaited to its end");
}

weft::task<> time_limits() {
  std::puts("with_timeout(1h, ...) in time");
  const int answer = co_await weft::with_timeout(1h, work(1ms));
  std::printf("  outside: the value, %d\n", answer);

  std::puts("with_timeout(20ms, ...) too late");
  try {
    co_await weft::with_timeout(20ms, work(1h));
  } catch (const weft::timeout_error&) {
    print("outside: timeout_error");
  }

  std::puts("as_result(with_timeout(20ms, ...)): the same without an exception");
  const weft::result<int> r = co_await weft::as_result(weft::with_timeout(20ms, work(1h)));
  if (r.error() == std::errc::timed_out) print("outside: an error code, timed_out");
}

weft::task<> first_of_several() {
  std::puts("when_any(slow, quick)");
  const auto winner = co_await weft::when_any(work(1h), weft::sleep_for(20ms));
  std::printf("  outside: number %zu has won\n", winner.index() + 1);
}

weft::task<> groups() {
  std::puts("group.cancel()");
  co_await weft::with_task_group([](weft::task_group& group) -> weft::task<> {
    group.spawn(work, 1h);
    co_await weft::sleep_for(20ms);
    group.cancel();
  });
  print("outside: returns normally, as was wished");

  std::puts("a failure in a group");
  try {
    co_await weft::with_task_group([](weft::task_group& group) -> weft::task<> {
      group.spawn(work, 1h);
      co_await weft::sleep_for(20ms);
      throw std::runtime_error("no such user");
    });
  } catch (const std::runtime_error& e) {
    std::printf("  outside: the failure, \"%s\"\n", e.what());
  }

  std::puts("join_handle::cancel(): one task of a group");
  co_await weft::with_task_group([](weft::task_group& group) -> weft::task<> {
    auto one = group.spawn(work, 1h);
    co_await weft::sleep_for(20ms);
    one.cancel();
    const auto r = co_await weft::as_result(one);
    if (r.error() == std::errc::operation_canceled) print("outside: operation_canceled");
  });
}

weft::task<> what_a_stop_does_not_reach() {
  std::puts("with_timeout(20ms, shield(..., 1s))");
  const int answer = co_await weft::with_timeout(20ms, weft::shield(work(50ms), 1s));
  std::printf("  outside: the value, %d\n", answer);

  std::puts("with_timeout(20ms, finally(..., clean_up, 1s))");
  const auto r =
      co_await weft::as_result(weft::with_timeout(20ms, weft::finally(work(1h), clean_up, 1s)));
  if (r.error() == std::errc::timed_out) print("outside: timed_out, after the clean-up");
}

weft::task<> amain() {
  co_await time_limits();
  co_await first_of_several();
  co_await groups();
  co_await what_a_stop_does_not_reach();
}

int main(int argc, char** argv) {
  CLI::App app{"Ways to stop what takes too long."};
  weft::run_options options{.stall_after = 100ms};
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  weft::run(options, amain());
}

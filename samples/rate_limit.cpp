// SPDX-License-Identifier: MIT
// Two limits for one stream of requests: how many at once, and how many a second.
//
// The first is a semaphore, the second an interval.
//
//     rate_limit [--requests N] [--time MS] [--at-once N] [--rate R] [--workers N]
//
// A request takes so many milliseconds. Prints the greatest number that was under way at once, and
// how many a second were started: whichever limit is the tighter one holds the stream back.

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <utility>

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct settings {
  int requests = 100;
  int time_ms = 50;
  std::size_t at_once = 8;
  int rate = 200;
};

/// How many are under way. On a pool they begin and end on several threads, hence the atomics.
class gauge {
public:
  void begin() {
    const int now = ++running_;
    int most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {}
  }
  void end() { --running_; }
  int most() const { return most_; }

private:
  std::atomic<int> running_ = 0;
  std::atomic<int> most_ = 0;
};

/// The permit goes with the task, however that ends.
weft::task<> request(gauge& under_way, int time_ms, weft::semaphore_permit) {
  under_way.begin();
  co_await weft::sleep_for(std::chrono::milliseconds(time_ms));
  under_way.end();
}

weft::task<> send_all(settings s, gauge& under_way) {
  weft::semaphore at_once(s.at_once);
  weft::interval tick(std::chrono::nanoseconds(1s) / s.rate);
  const auto body = [&](weft::task_group& requests) -> weft::task<> {
    for (int i = 0; i < s.requests; ++i) {
      auto permit = co_await at_once.acquire();
      // Ticks that went by while we waited for the permit are lost: there is no burst afterwards.
      co_await tick.next();
      requests.spawn(request, std::ref(under_way), s.time_ms, std::move(permit));
    }
  };
  co_await weft::with_task_group(body);
}

int main(int argc, char** argv) {
  CLI::App app{"Sends requests, not too many at once and not too many a second."};
  settings s;
  weft::run_options options{.stall_after = 100ms};
  app.add_option("--requests", s.requests, "how many in all")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--time", s.time_ms, "milliseconds that a request takes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--at-once", s.at_once, "how many may be under way at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rate", s.rate, "how many may be started in a second")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  gauge under_way;
  const auto start = steady_clock::now();
  weft::run(options, send_all(s, under_way));
  const std::chrono::duration<double> time = steady_clock::now() - start;
  std::printf("%d requests in %.3f s\n", s.requests, time.count());
  std::printf("at once   %d, at most %zu\n", under_way.most(), s.at_once);
  std::printf("a second  %.1f, at most %d\n", s.requests / time.count(), s.rate);
}

// SPDX-License-Identifier: MIT
// One counter for many tasks: where updates are lost, and three ways to lose none.
//
//     shared_state [--tasks N] [--times N] [--workers N]
//
// On an event loop the code between two awaits has no rival: no other task runs. Across an await
// others do, and what was read before it may be old. On a pool they run at any time. Prints how
// many updates each way of counting has lost, on an event loop and on a pool of N workers.

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <utility>

using namespace std::chrono_literals;

struct settings {
  int tasks = 8;
  int times = 10'000;  // that each of them counts
};

struct counter {
  weft::mutex guard;
  // Stands for a plain int. On a pool a plain one would be a data race, and the program without
  // meaning; a relaxed load and a relaxed store are the same instructions, and only lose updates.
  // Counting with an atomic is something else: see count_atomically.
  std::atomic<int> value = 0;

  int read() const { return value.load(std::memory_order_relaxed); }
  void write(int v) { value.store(v, std::memory_order_relaxed); }
};

/// Takes its time, as the computing of a new value mostly does.
int next(int old) {
  volatile int turns = 0;
  while (turns < 100) turns = turns + 1;
  return old + 1;
}

weft::task<> count_between_awaits(counter& c, int times) {
  for (int i = 0; i < times; ++i) {
    const int old = c.read();
    c.write(next(old));
    if (i % 100 == 0) co_await weft::yield();
  }
}

weft::task<> count_across_an_await(counter& c, int times) {
  for (int i = 0; i < times; ++i) {
    const int old = c.read();
    co_await weft::yield();  // the others count, too
    c.write(next(old));
  }
}

weft::task<> count_with_a_mutex(counter& c, int times) {
  for (int i = 0; i < times; ++i) {
    const auto lock = co_await c.guard.lock();  // held across the await: nobody else comes in
    const int old = c.read();
    co_await weft::yield();
    c.write(next(old));
  }
}

weft::task<> count_atomically(counter& c, int times) {
  for (int i = 0; i < times; ++i) {
    co_await weft::yield();
    ++c.value;  // one step, that nothing can come between
  }
}

using counting = weft::task<>(counter&, int);

/// Counts with many tasks, and returns how many updates are missing.
weft::task<int> lost_updates(counting& count, settings s) {
  counter c;
  const auto body = [&](weft::task_group& group) -> weft::task<> {
    for (int i = 0; i < s.tasks; ++i) group.spawn(count, std::ref(c), s.times);
    co_return;
  };
  co_await weft::with_task_group(body);
  co_return s.tasks* s.times - c.read();
}

weft::task<> send_ones(weft::channel_sender<int> sender, int times) {
  for (int i = 0; i < times; ++i) co_await sender.send(1);
}

/// Nothing is shared: one task has the counter, the others send it what to add.
weft::task<int> lost_with_a_channel(settings s) {
  auto [sender, receiver] = weft::channel<int>(64);
  int value = 0;
  const auto body = [&](weft::task_group& group) -> weft::task<> {
    for (int i = 1; i < s.tasks; ++i) group.spawn(send_ones, sender, s.times);
    group.spawn(send_ones, std::move(sender), s.times);  // when the last one goes, it is closed
    while (const auto more = co_await receiver.receive()) value += *more;
  };
  co_await weft::with_task_group(body);
  co_return s.tasks* s.times - value;
}

int main(int argc, char** argv) {
  CLI::App app{"Counts with many tasks, and tells how many updates are lost."};
  settings s;
  weft::run_options pool{.workers = std::max(2U, weft::available_cores()), .stall_after = 100ms};
  app.add_option("--tasks", s.tasks, "tasks that count")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--times", s.times, "how often each counts")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--workers", pool.workers, "threads of the pool")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::printf("lost of %-10d  event loop   pool of %u\n", s.tasks * s.times, pool.workers);
  const auto row = [&](const char* name, auto count) {
    const int on_a_loop = weft::run({.stall_after = 100ms}, count());
    const int on_a_pool = weft::run(pool, count());
    std::printf("%-18s  %10d  %10d\n", name, on_a_loop, on_a_pool);
  };
  row("between awaits", [&] { return lost_updates(count_between_awaits, s); });
  row("across an await", [&] { return lost_updates(count_across_an_await, s); });
  row("with a mutex", [&] { return lost_updates(count_with_a_mutex, s); });
  row("with an atomic", [&] { return lost_updates(count_atomically, s); });
  row("with a channel", [&] { return lost_with_a_channel(s); });
}

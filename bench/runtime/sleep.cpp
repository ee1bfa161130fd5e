// SPDX-License-Identifier: MIT
// What does a task's sleep cost, beside a million other sleepers?
//
// Measured: 1000 tasks sleep until a time that has come already, 100 times each, while `others`
// sleep for an hour: each sleep is an insertion, an expiry and a resume; `per_item` is a sleep. At
// the end the others are cancelled (not timed). Not measured: a wait in the kernel, which there is
// none of. Bound: the timer queue, where these deadlines come first, and the trip through the ready
// queue. Baseline: a std::multimap whose earliest entry, due already, leaves, calls a function
// through a pointer, and enters again.

#include "bench/support/measure.hpp"
#include "bench/support/random.hpp"
#include <weft/runtime/as_result.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/task_group.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t sleepers = 1000;
constexpr std::size_t rounds = 100;

// As a result: to end a million of them by exceptions would take longer than all else.
weft::task<> sleep_long(std::chrono::nanoseconds more) {
  (void)co_await weft::as_result(weft::sleep_for(1h + more));
}

weft::task<> sleep_often(std::size_t& count) {
  for (std::size_t i = 0; i < rounds; ++i) {
    co_await weft::sleep_until(std::chrono::steady_clock::time_point(1ns));
    ++count;
  }
}

weft::task<> measure(benchmark::State& state) {
  std::size_t count = 0;
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (std::size_t i = 0; i < sleepers; ++i) group.spawn(sleep_often, std::ref(count));
    co_return;
  };
  for (auto _ : state) co_await weft::with_task_group(body);
  bench::expect(state, count == sleepers * rounds * static_cast<std::size_t>(state.iterations()),
                "lost a sleep");
  bench::per_item(state, sleepers * rounds);
}

weft::task<> among_others(benchmark::State& state) {
  auto body = [&](weft::task_group& group) -> weft::task<> {
    bench::random_numbers random;
    for (std::size_t i = 0; i < bench::size(state, 0); ++i)
      group.spawn(sleep_long, std::chrono::nanoseconds(random.next()));
    co_await weft::sleep_for(1ms);  // by then they sleep
    co_await measure(state);
    group.cancel();
  };
  co_await weft::with_task_group(body);
}
void weft_sleep(benchmark::State& state) { weft::run(among_others(state)); }

struct sleeper {
  void (*wake)(sleeper&) = nullptr;
  std::size_t left = rounds;
};
void wake(sleeper& s) { --s.left; }

void multimap(benchmark::State& state) {
  // Filled once for all repetitions: that takes longer than the measurement.
  static std::multimap<std::int64_t, sleeper*> queue;
  bench::random_numbers random;
  while (queue.size() < bench::size(state, 0))
    queue.emplace(std::int64_t{1'000'000'000'000} + static_cast<std::int64_t>(random.next()),
                  nullptr);
  std::vector<sleeper> due(sleepers);
  for (auto _ : state) {
    for (sleeper& s : due) {
      s = {.wake = wake};
      queue.emplace(1, &s);
    }
    benchmark::DoNotOptimize(due.data());
    benchmark::ClobberMemory();
    while (!queue.empty() && queue.begin()->first <= 1) {
      sleeper& next = *queue.begin()->second;
      queue.erase(queue.begin());
      next.wake(next);
      if (next.left != 0) queue.emplace(1, &next);
    }
  }
  for (const sleeper& s : due) bench::expect(state, s.left == 0, "lost a sleep");
  bench::per_item(state, sleepers * rounds);
}

}  // namespace

BENCHMARK(weft_sleep)
    ->Name("runtime/sleep/weft")
    ->ArgName("others")
    ->Arg(0)
    ->Arg(1'000'000)
    ->Iterations(3)  // to set up a million sleepers takes longer than to measure
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(multimap)
    ->Name("runtime/sleep/multimap")
    ->ArgName("others")
    ->Arg(0)
    ->Arg(1'000'000)
    ->Iterations(3)  // to set up a million sleepers takes longer than to measure
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);

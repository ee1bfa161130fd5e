// SPDX-License-Identifier: MIT
// What does fork-join cost: fib(30) by plain recursion, 1.3 million forks, no work beside them?
//
// Measured: the whole tree; each call but the leaves forks two and joins them. `per_item` is a call
// (2.7 million). Not measured: what makes fork-join worth it, work in the leaves; starting and
// ending the threads. Bound: frame, fork and join of each call; with two workers the few steals.
// Baselines: the same recursion without forking (serial); oneTBB's task_group and parallel_invoke,
// held to as many threads.

#include "bench/support/measure.hpp"
#include <weft/runtime/when_all.hpp>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_group.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

constexpr std::int64_t n = 30;
constexpr std::int64_t fib_n = 832'040;
constexpr std::size_t calls = 2'692'537;  // 2 fib(n + 1) - 1

void check(benchmark::State& state, std::int64_t value) {
  if (value != fib_n) state.SkipWithError("wrong value");
}

weft::task<std::int64_t> fib(std::int64_t i) {
  if (i < 2) co_return i;
  const auto both = co_await weft::when_all(fib(i - 1), fib(i - 2));
  co_return std::get<0>(both) + std::get<1>(both);
}

template <class Scheduler>
void on_scheduler(benchmark::State& state, Scheduler& scheduler) {
  for (auto _ : state) check(state, scheduler.run(fib(n)));
  bench::per_item(state, calls);
}
void weft_loop(benchmark::State& state) {
  weft::event_loop loop;
  on_scheduler(state, loop);
}
void weft_pool(benchmark::State& state) {
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  on_scheduler(state, pool);
}

std::int64_t serial_fib(std::int64_t i) {
  return i < 2 ? i : serial_fib(i - 1) + serial_fib(i - 2);
}

void serial(benchmark::State& state) {
  std::int64_t argument = n;
  for (auto _ : state) {
    benchmark::DoNotOptimize(argument);
    check(state, serial_fib(argument));
  }
  bench::per_item(state, calls);
}

std::int64_t task_group_fib(std::int64_t i) {
  if (i < 2) return i;
  std::int64_t left = 0;
  tbb::task_group group;
  group.run([&left, i] { left = task_group_fib(i - 1); });
  const std::int64_t right = task_group_fib(i - 2);
  group.wait();
  return left + right;
}

std::int64_t parallel_invoke_fib(std::int64_t i) {
  if (i < 2) return i;
  std::int64_t left = 0;
  std::int64_t right = 0;
  tbb::parallel_invoke([&left, i] { left = parallel_invoke_fib(i - 1); },
                       [&right, i] { right = parallel_invoke_fib(i - 2); });
  return left + right;
}

template <std::int64_t (*Fib)(std::int64_t)>
void tbb_fib(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  for (auto _ : state) check(state, Fib(n));
  bench::per_item(state, calls);
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_loop)
    ->Name("sched/fork_join_fib/weft/n:30/scheduler:loop")
    ->ArgName("workers")
    ->Arg(1)
    ->Unit(benchmark::kMillisecond)
    ->Apply(bench::wall_clock);
BENCHMARK(weft_pool)->Name("sched/fork_join_fib/weft/n:30/scheduler:pool")->Apply(one_and_two);
BENCHMARK(tbb_fib<task_group_fib>)
    ->Name("sched/fork_join_fib/tbb_task_group/n:30")
    ->Apply(one_and_two);
BENCHMARK(tbb_fib<parallel_invoke_fib>)
    ->Name("sched/fork_join_fib/tbb_parallel_invoke/n:30")
    ->Apply(one_and_two);
BENCHMARK(serial)
    ->Name("sched/fork_join_fib/serial/n:30")
    ->Unit(benchmark::kMillisecond)
    ->Apply(bench::wall_clock);

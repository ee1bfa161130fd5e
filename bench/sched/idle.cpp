// SPDX-License-Identifier: MIT
// What does a runtime use that has nothing to do?
//
// Measured: the processor time of the whole process while a loop, or a pool of one or two workers,
// runs a task that waits for an event, for 100 ms after 50 ms of settling down. `cpu` is in seconds
// per second: 0.001 is a tenth of a per cent. The time of an iteration says nothing. Not measured:
// what it uses on the way to sleep, and waking up (wake_up). Bound: nothing, it should be zero.
// Baselines: as many threads that wait for a condition variable; Asio's context with as many.

#include "bench/support/asio_run.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/event.hpp>
#include <weft/sched/work_guard.hpp>

#include <asio/executor_work_guard.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <time.h>

namespace {

double process_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void watch(benchmark::State& state) {
  using clock = std::chrono::steady_clock;
  double used = 0;
  std::chrono::duration<double> passed{0};
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double before = process_seconds();
    const auto begin = clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    used += process_seconds() - before;
    passed += clock::now() - begin;
  }
  state.counters["cpu"] = used / passed.count();
}

weft::task<> stay(weft::event& over) {
  const weft::work_guard outside;
  co_await over.wait();
}

template <class Scheduler>
void watch_scheduler(benchmark::State& state, Scheduler& scheduler) {
  weft::event over;
  std::jthread thread([&] { scheduler.run(stay(over)); });
  watch(state);
  over.set();
}
void weft_loop(benchmark::State& state) {
  weft::event_loop loop;
  watch_scheduler(state, loop);
}
void weft_pool(benchmark::State& state) {
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  watch_scheduler(state, pool);
}

void threads(benchmark::State& state) {
  std::atomic<bool> over{false};
  std::vector<std::jthread> all;
  for (unsigned i = 0; i < bench::workers(state, 0); ++i)
    all.emplace_back([&over] { over.wait(false); });
  watch(state);
  over = true;
  over.notify_all();
}

void asio_context(benchmark::State& state) {
  asio::io_context context;
  auto stays = asio::make_work_guard(context);
  std::jthread thread([&] { bench::run_on_threads(context, bench::size(state, 0)); });
  watch(state);
  stays.reset();
}

void one(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Iterations(1)->Apply(bench::wall_clock);
}
void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Iterations(1)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_loop)->Name("sched/idle/weft/scheduler:loop")->Apply(one);
BENCHMARK(weft_pool)->Name("sched/idle/weft/scheduler:pool")->Apply(one_and_two);
BENCHMARK(threads)->Name("sched/idle/threads")->Apply(one_and_two);
BENCHMARK(asio_context)->Name("sched/idle/asio")->Apply(one_and_two);

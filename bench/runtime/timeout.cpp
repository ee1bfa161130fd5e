// SPDX-License-Identifier: MIT
// What does a time limit cost that is not reached?
//
// Measured: awaits within with_timeout(1h, ...). `ready`: of an event that is set, so the limit is
// a frame and the operation. `suspended`: of a sleep that is due in the next turn, so the limit is
// also a clock read, a scope, and a timer that goes in and comes out again; `as_task` is the same
// sleep inside a task. Not measured: limits that fire. Bound: the timer queue and the frame.
// Baseline: the same await without a limit, and a call through a function pointer.

#include "bench/support/measure.hpp"
#include <weft/runtime/event.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/with_timeout.hpp>

#include <chrono>
#include <cstddef>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t awaits = 1000;
constexpr std::chrono::steady_clock::time_point past{1ns};

weft::task<> ready_bare(benchmark::State& state) {
  weft::event set;
  set.set();
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i) co_await set.wait();
}

weft::task<> ready_limited(benchmark::State& state) {
  weft::event set;
  set.set();
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i) co_await weft::with_timeout(1h, set.wait());
}

weft::task<> suspended_bare(benchmark::State& state) {
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i) co_await weft::sleep_until(past);
}

weft::task<> suspended_limited(benchmark::State& state) {
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i)
      co_await weft::with_timeout(1h, weft::sleep_until(past));
}

weft::task<> sleep_task() { co_await weft::sleep_until(past); }

weft::task<> suspended_task_bare(benchmark::State& state) {
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i) co_await sleep_task();
}

weft::task<> suspended_task_limited(benchmark::State& state) {
  for (auto _ : state)
    for (std::size_t i = 0; i < awaits; ++i) co_await weft::with_timeout(1h, sleep_task());
}

template <weft::task<> (*Body)(benchmark::State&)>
void on_scheduler(benchmark::State& state) {
  if (state.range(0) == 0) {
    weft::run(Body(state));
  } else {
    weft::thread_pool pool({.workers = 1});
    pool.run(Body(state));
  }
  bench::per_item(state, awaits);
}

void nothing() {}

void function_pointer(benchmark::State& state) {
  void (*f)() = nothing;
  for (auto _ : state) {
    for (std::size_t i = 0; i < awaits; ++i) {
      benchmark::DoNotOptimize(f);
      f();
    }
  }
  bench::per_item(state, awaits);
}

void both(benchmark::internal::Benchmark* b) { b->ArgName("pool")->Arg(0)->Arg(1); }

}  // namespace

BENCHMARK(on_scheduler<ready_limited>)
    ->Name("runtime/timeout_ready/weft")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(on_scheduler<ready_bare>)
    ->Name("runtime/timeout_ready/without_limit")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(function_pointer)
    ->Name("runtime/timeout_ready/function_pointer")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(on_scheduler<suspended_limited>)
    ->Name("runtime/timeout_suspended/weft")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(on_scheduler<suspended_bare>)
    ->Name("runtime/timeout_suspended/without_limit")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(function_pointer)
    ->Name("runtime/timeout_suspended/function_pointer")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(on_scheduler<suspended_task_limited>)
    ->Name("runtime/timeout_suspended_task/weft")
    ->Apply(both)
    ->Apply(bench::wall_clock);
BENCHMARK(on_scheduler<suspended_task_bare>)
    ->Name("runtime/timeout_suspended_task/without_limit")
    ->Apply(both)
    ->Apply(bench::wall_clock);

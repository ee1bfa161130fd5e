// SPDX-License-Identifier: MIT
// What does when_all cost, of two tasks and of a thousand, that end without waiting?
//
// Measured: making the tasks, when_all of them, adding up the values; `per_item` is a task. With
// two workers the second one may steal what is offered, and here stealing never pays: the bodies
// are empty. Not measured: children that wait. Bound: a frame and a fork a child, for 1000 the
// vectors. Baselines: awaiting the same tasks one after the other; calls through a function
// pointer.

#include "bench/support/measure.hpp"
#include <weft/runtime/when_all.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace {

[[gnu::noinline]] weft::task<std::int64_t> same(std::int64_t x) { co_return x; }
[[gnu::noinline]] std::int64_t call_same(std::int64_t x) { return x; }

constexpr std::int64_t sum_below(std::int64_t n) { return n * (n - 1) / 2; }

weft::task<> two(benchmark::State& state) {
  for (auto _ : state) {
    const auto values = co_await weft::when_all(same(0), same(1));
    const std::int64_t sum = std::get<0>(values) + std::get<1>(values);
    if (sum != sum_below(2)) state.SkipWithError("wrong sum");
  }
}
weft::task<> many(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<weft::task<std::int64_t>> tasks;
    tasks.reserve(bench::size(state, 0));
    for (std::int64_t i = 0; i < state.range(0); ++i) tasks.push_back(same(i));
    const auto values = co_await weft::when_all(std::move(tasks));
    const std::int64_t sum = std::accumulate(values.begin(), values.end(), std::int64_t{0});
    if (sum != sum_below(state.range(0))) state.SkipWithError("wrong sum");
  }
}
void weft_task(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, state.range(0) == 2 ? two(state) : many(state));
  bench::per_item(state, bench::size(state, 0));
}

weft::task<> one_by_one(benchmark::State& state) {
  for (auto _ : state) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < state.range(0); ++i) sum += co_await same(i);
    if (sum != sum_below(state.range(0))) state.SkipWithError("wrong sum");
  }
}
void one_after_the_other(benchmark::State& state) {
  weft::run(one_by_one(state));
  bench::per_item(state, bench::size(state, 0));
}

void function_pointer(benchmark::State& state) {
  std::int64_t (*volatile call)(std::int64_t) = call_same;
  for (auto _ : state) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < state.range(0); ++i) sum += call(i);
    if (sum != sum_below(state.range(0))) state.SkipWithError("wrong sum");
  }
  bench::per_item(state, bench::size(state, 0));
}

void counts(benchmark::internal::Benchmark* b) {
  b->ArgName("tasks")->Arg(2)->Arg(1000)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_task)
    ->Name("runtime/when_all/weft")
    ->ArgNames({"tasks", "workers"})
    ->ArgsProduct({{2, 1000}, {1, 2}})
    ->Apply(bench::wall_clock);
BENCHMARK(one_after_the_other)->Name("runtime/when_all/one_after_the_other")->Apply(counts);
BENCHMARK(function_pointer)->Name("runtime/when_all/function_pointer")->Apply(counts);

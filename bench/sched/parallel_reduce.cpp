// SPDX-License-Identifier: MIT
// How fast are 10^8 doubles added up?
//
// Measured: the sum, awaited from a task that runs already. Not measured: filling the memory.
// Bound: by the chain of additions where they are made one after the other, else by the memory.
// Baselines: the plain loop (serial); oneTBB's parallel_reduce, whose order changes between runs,
// and parallel_deterministic_reduce, with the plain loop as their bodies; std::reduce with
// execution::par, which libstdc++ takes from oneTBB. All are held to as many threads.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_reduce.hpp>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_reduce.h>

#include <cstddef>
#include <execution>
#include <functional>
#include <numeric>
#include <vector>

namespace {

constexpr std::size_t count = 100'000'000;
constexpr double expected = 0.5 * count;  // exact, in any order

const std::vector<double>& numbers() {
  static const std::vector<double> all(count, 0.5);
  return all;
}

void check(benchmark::State& state, double sum) {
  bench::expect(state, sum == expected, "wrong sum");
}

void weft_sum(benchmark::State& state) {
  const std::vector<double>& all = numbers();
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  auto rounds = [&]() -> weft::task<> {
    for (auto _ : state) {
      const double sum = co_await weft::parallel_reduce(all, 0.0, std::plus<>());
      check(state, sum);
    }
  };
  pool.run(rounds());
}

void serial_sum(benchmark::State& state) {
  const std::vector<double>& all = numbers();
  for (auto _ : state) check(state, std::accumulate(all.begin(), all.end(), 0.0));
}

double add_up(const tbb::blocked_range<const double*>& r, double sum) {
  for (const double x : r) sum += x;
  return sum;
}

template <bool Deterministic>
void tbb_sum(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  const double* const first = numbers().data();
  // The deterministic one takes every range down to the grain.
  const tbb::blocked_range<const double*> all(first, first + count, Deterministic ? 4096 : 1);
  for (auto _ : state) {
    if constexpr (Deterministic)
      check(state, tbb::parallel_deterministic_reduce(all, 0.0, add_up, std::plus<>()));
    else
      check(state, tbb::parallel_reduce(all, 0.0, add_up, std::plus<>()));
  }
}

void std_sum(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  const std::vector<double>& all = numbers();
  for (auto _ : state) check(state, std::reduce(std::execution::par, all.begin(), all.end(), 0.0));
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_sum)->Name("sched/parallel_reduce_sum/weft")->Apply(one_and_two);
BENCHMARK(tbb_sum<false>)->Name("sched/parallel_reduce_sum/tbb")->Apply(one_and_two);
BENCHMARK(tbb_sum<true>)->Name("sched/parallel_reduce_sum/tbb_deterministic")->Apply(one_and_two);
BENCHMARK(std_sum)->Name("sched/parallel_reduce_sum/std_par")->Apply(one_and_two);
BENCHMARK(serial_sum)
    ->Name("sched/parallel_reduce_sum/serial")
    ->Unit(benchmark::kMillisecond)
    ->Apply(bench::wall_clock);

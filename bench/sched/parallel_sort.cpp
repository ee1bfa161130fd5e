// SPDX-License-Identifier: MIT
// How fast are 10^7 numbers and 10^6 strings sorted? (A tenth of them without --full.)
//
// Measured: sorting random elements, awaited from a task that runs already. Not measured: making
// them (each iteration sorts a fresh copy). Bound: numbers by the branches that a processor guesses
// wrong, strings by comparisons and cache misses. Baselines: std::sort (serial); oneTBB's
// parallel_sort; std::sort with execution::par, which libstdc++ takes from oneTBB. All are held to
// as many threads. The stable sort of numbers stands next to one that need not be stable.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_sort.hpp>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_sort.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <execution>
#include <random>
#include <string>
#include <vector>

namespace {

template <class T>
struct data;

template <>
struct data<int> {
  static std::vector<int> make() {
    std::mt19937 random(1);
    std::vector<int> all(bench::full_size() ? 10'000'000 : 1'000'000);
    for (int& n : all) n = static_cast<int>(random());
    return all;
  }
};

template <>
struct data<std::string> {
  static std::vector<std::string> make() {
    std::mt19937 random(1);
    std::vector<std::string> all(bench::full_size() ? 1'000'000 : 100'000);
    for (std::string& s : all) {
      s.resize(8 + random() % 16);
      for (char& c : s) c = static_cast<char>('a' + random() % 26);
    }
    return all;
  }
};

/// Runs `sort(elements)` once in each iteration, timed by itself.
template <class T, class Sort>
void fresh_copies(benchmark::State& state, Sort sort) {
  static const std::vector<T> all = data<T>::make();
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<T> copy = all;
    state.ResumeTiming();
    sort(copy);
    state.PauseTiming();
    bench::expect(state, std::is_sorted(copy.begin(), copy.end()), "not in order");
    copy = {};
    state.ResumeTiming();
  }
}

template <class T, bool Stable>
void weft_sort(benchmark::State& state) {
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  fresh_copies<T>(state, [&](std::vector<T>& all) {
    auto sorting = [&]() -> weft::task<> {
      if constexpr (Stable)
        co_await weft::parallel_stable_sort(all);
      else
        co_await weft::parallel_sort(all);
    };
    pool.run(sorting());
  });
}

template <class T>
void serial_sort(benchmark::State& state) {
  fresh_copies<T>(state, [](std::vector<T>& all) { std::sort(all.begin(), all.end()); });
}

template <class T>
void tbb_sort(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  fresh_copies<T>(state, [](std::vector<T>& all) { tbb::parallel_sort(all.begin(), all.end()); });
}

template <class T>
void std_sort(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  fresh_copies<T>(
      state, [](std::vector<T>& all) { std::sort(std::execution::par, all.begin(), all.end()); });
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->Apply(bench::wall_clock);
}
void alone(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_sort<int, false>)->Name("sched/parallel_sort_ints/weft")->Apply(one_and_two);
BENCHMARK(weft_sort<int, true>)->Name("sched/parallel_stable_sort_ints/weft")->Apply(one_and_two);
BENCHMARK(tbb_sort<int>)->Name("sched/parallel_sort_ints/tbb")->Apply(one_and_two);
BENCHMARK(std_sort<int>)->Name("sched/parallel_sort_ints/std_par")->Apply(one_and_two);
BENCHMARK(tbb_sort<int>)
    ->Name("sched/parallel_stable_sort_ints/tbb_not_stable")
    ->Apply(one_and_two);
BENCHMARK(serial_sort<int>)->Name("sched/parallel_sort_ints/serial")->Apply(alone);
BENCHMARK(weft_sort<std::string, false>)
    ->Name("sched/parallel_sort_strings/weft")
    ->Apply(one_and_two);
BENCHMARK(tbb_sort<std::string>)->Name("sched/parallel_sort_strings/tbb")->Apply(one_and_two);
BENCHMARK(std_sort<std::string>)->Name("sched/parallel_sort_strings/std_par")->Apply(one_and_two);
BENCHMARK(serial_sort<std::string>)->Name("sched/parallel_sort_strings/serial")->Apply(alone);

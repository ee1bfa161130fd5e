// SPDX-License-Identifier: MIT
// How fast are the running totals of 10^7 doubles written?
//
// Measured: the inclusive and the exclusive scan to another range, awaited from a task that runs
// already. Not measured: filling the memory. Bound: by the chain of additions on one worker; on
// two also by the memory, since a parallel scan reads most of it twice. Baselines: the plain loop
// (serial); oneTBB's parallel_scan with the same loop as its body; std::inclusive_scan and
// exclusive_scan with execution::par, which libstdc++ takes from oneTBB. All are held to as many
// threads.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_scan.hpp>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_scan.h>

#include <algorithm>
#include <cstddef>
#include <execution>
#include <functional>
#include <numeric>
#include <vector>

namespace {

constexpr std::size_t count = 10'000'000;

struct ranges {
  std::vector<double> in = std::vector<double>(count, 0.5);
  std::vector<double> out = std::vector<double>(count, 0.0);

  /// The totals are exact, in any order of the additions.
  void check(benchmark::State& state, bool inclusive) const {
    bool right = true;
    for (std::size_t i = 0; i != count; ++i)
      right = right && out[i] == 0.5 * static_cast<double>(inclusive ? i + 1 : i);
    bench::expect(state, right, "wrong totals");
  }
};

/// With nothing written yet.
ranges& cleared() {
  static ranges r;
  std::fill(r.out.begin(), r.out.end(), 0.0);
  return r;
}

template <bool Inclusive>
void weft_scan(benchmark::State& state) {
  ranges& r = cleared();
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  auto rounds = [&]() -> weft::task<> {
    for (auto _ : state) {
      if constexpr (Inclusive)
        co_await weft::parallel_inclusive_scan(r.in, r.out.begin(), 0.0, std::plus<>());
      else
        co_await weft::parallel_exclusive_scan(r.in, r.out.begin(), 0.0, std::plus<>());
    }
  };
  pool.run(rounds());
  r.check(state, Inclusive);
}

template <bool Inclusive>
double write_totals(const double* in, double* out, std::size_t begin, std::size_t end, double sum) {
  for (std::size_t i = begin; i != end; ++i) {
    const double next = sum + in[i];
    out[i] = Inclusive ? next : sum;
    sum = next;
  }
  return sum;
}

template <bool Inclusive>
void tbb_scan(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  ranges& r = cleared();
  const auto piece = [in = r.in.data(), out = r.out.data()](const auto& p, double sum, bool last) {
    if (last) return write_totals<Inclusive>(in, out, p.begin(), p.end(), sum);
    for (std::size_t i = p.begin(); i != p.end(); ++i) sum += in[i];
    return sum;
  };
  for (auto _ : state)
    tbb::parallel_scan(tbb::blocked_range<std::size_t>(0, count), 0.0, piece, std::plus<>());
  r.check(state, Inclusive);
}

template <bool Inclusive>
void std_scan(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  ranges& r = cleared();
  for (auto _ : state) {
    if constexpr (Inclusive)
      std::inclusive_scan(std::execution::par, r.in.begin(), r.in.end(), r.out.begin());
    else
      std::exclusive_scan(std::execution::par, r.in.begin(), r.in.end(), r.out.begin(), 0.0);
  }
  r.check(state, Inclusive);
}

template <bool Inclusive>
void serial_scan(benchmark::State& state) {
  ranges& r = cleared();
  for (auto _ : state) {
    write_totals<Inclusive>(r.in.data(), r.out.data(), 0, count, 0.0);
    benchmark::ClobberMemory();
  }
  r.check(state, Inclusive);
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}
void alone(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_scan<true>)->Name("sched/parallel_scan_inclusive/weft")->Apply(one_and_two);
BENCHMARK(tbb_scan<true>)->Name("sched/parallel_scan_inclusive/tbb")->Apply(one_and_two);
BENCHMARK(std_scan<true>)->Name("sched/parallel_scan_inclusive/std_par")->Apply(one_and_two);
BENCHMARK(serial_scan<true>)->Name("sched/parallel_scan_inclusive/serial")->Apply(alone);
BENCHMARK(weft_scan<false>)->Name("sched/parallel_scan_exclusive/weft")->Apply(one_and_two);
BENCHMARK(tbb_scan<false>)->Name("sched/parallel_scan_exclusive/tbb")->Apply(one_and_two);
BENCHMARK(std_scan<false>)->Name("sched/parallel_scan_exclusive/std_par")->Apply(one_and_two);
BENCHMARK(serial_scan<false>)->Name("sched/parallel_scan_exclusive/serial")->Apply(alone);

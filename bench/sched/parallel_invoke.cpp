// SPDX-License-Identifier: MIT
// What does it cost to call a few small functions side by side?
//
// Measured: 2 and 8 functions of some 30 ns each, awaited from a task that runs already; `per_item`
// is the time of one of them. Not measured: starting the threads. Bound: by the frames that are
// made, and on two workers by the thefts; functions as short as these gain nothing from a second
// worker. Baselines: the plain calls (serial); oneTBB's parallel_invoke, held to as many threads.

#include "bench/support/measure.hpp"
#include <weft/sched/parallel_invoke.hpp>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_invoke.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

/// A function, and the place of what it made the last time and goes on from.
struct scramble {
  std::uint64_t* place;
  void operator()() const {
    std::uint64_t x = *place;
    for (int i = 0; i != 16; ++i) {
      x ^= x << 13U;
      x ^= x >> 7U;
      x ^= x << 17U;
    }
    *place = x;
  }
};

/// The places, each in a cache line of its own; all begin and go on alike.
template <std::size_t N>
struct places {
  struct alignas(64) place {
    std::uint64_t value = 1;
  };
  std::array<place, N> all;

  template <class Call>
  decltype(auto) with_functions(Call call) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) -> decltype(auto) {
      return call(scramble{&all[I].value}...);
    }(std::make_index_sequence<N>());
  }
  void check(benchmark::State& state) const {
    std::uint64_t expected = 1;
    const scramble once{&expected};
    for (benchmark::IterationCount i = 0; i != state.iterations(); ++i) once();
    for (const place& p : all) bench::expect(state, p.value == expected, "wrong result");
    bench::per_item(state, N);
  }
};

template <std::size_t N>
void weft_invoke(benchmark::State& state) {
  places<N> p;
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  auto rounds = [&]() -> weft::task<> {
    for (auto _ : state) {
      auto calls = p.with_functions([](auto... f) { return weft::parallel_invoke(f...); });
      co_await std::move(calls);
    }
  };
  pool.run(rounds());
  p.check(state);
}

template <std::size_t N>
void tbb_invoke(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  bench::size(state, 0));
  places<N> p;
  for (auto _ : state) p.with_functions([](auto... f) { tbb::parallel_invoke(f...); });
  p.check(state);
}

template <std::size_t N>
void serial_invoke(benchmark::State& state) {
  places<N> p;
  for (auto _ : state) {
    p.with_functions([](auto... f) { (f(), ...); });
    benchmark::ClobberMemory();
  }
  p.check(state);
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_invoke<2>)->Name("sched/parallel_invoke_2/weft")->Apply(one_and_two);
BENCHMARK(tbb_invoke<2>)->Name("sched/parallel_invoke_2/tbb")->Apply(one_and_two);
BENCHMARK(serial_invoke<2>)->Name("sched/parallel_invoke_2/serial")->Apply(bench::wall_clock);
BENCHMARK(weft_invoke<8>)->Name("sched/parallel_invoke_8/weft")->Apply(one_and_two);
BENCHMARK(tbb_invoke<8>)->Name("sched/parallel_invoke_8/tbb")->Apply(one_and_two);
BENCHMARK(serial_invoke<8>)->Name("sched/parallel_invoke_8/serial")->Apply(bench::wall_clock);

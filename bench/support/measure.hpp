// SPDX-License-Identifier: MIT
#pragma once
// What the benchmarks share: how they are timed, how a result is checked, and the time per item as
// a counter beside the time of an iteration. Time is wall-clock time, since tasks may change
// threads; the CPU column is that of the whole process.

#include <weft/sched/run.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdlib>

namespace bench {

/// Whether the sizes that others publish for are asked for, minutes of work each (`./dev bench
/// --full`), or those that show the same in a moment.
inline bool full_size() { return std::getenv("WEFT_BENCH_FULL") != nullptr; }

/// For ->Apply: what all benchmarks have in common.
inline void wall_clock(benchmark::internal::Benchmark* b) {
  b->UseRealTime()->MeasureProcessCPUTime();
}

/// Marks the benchmark as wrong; nothing it measured counts then.
inline void expect(benchmark::State& state, bool right, const char* what) {
  if (!right) state.SkipWithError(what);
}

/// Adds the time of one of the `items` of an iteration as a counter. With several threads each has
/// as many, and the time is that in which any of them does one more.
inline void per_item(benchmark::State& state, std::size_t items) {
  using benchmark::Counter;
  state.counters["per_item"] =
      Counter(static_cast<double>(items),
              Counter::kIsIterationInvariantRate | Counter::kAvgThreads | Counter::kInvert);
}

inline unsigned workers(const benchmark::State& state, std::size_t argument) {
  return static_cast<unsigned>(state.range(argument));
}
inline std::size_t size(const benchmark::State& state, std::size_t argument) {
  return static_cast<std::size_t>(state.range(argument));
}

}  // namespace bench

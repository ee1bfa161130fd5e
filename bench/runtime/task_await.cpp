// SPDX-License-Identifier: MIT
// What does `co_await f()` cost, when f ends without waiting?
//
// Measured: create a task, await it, take its value, destroy it; the callee is not inlined, so that
// its frame is really made. The value goes into the next call: latency, not throughput. Not
// measured: suspending (see yield), cold caches. Bound: the frame cache, two transfers of control.
// Baselines: the call through a function pointer; operator new and delete of as many bytes as the
// frame has; the least coroutine that there can be.

#include "bench/support/bare_task.hpp"
#include "bench/support/measure.hpp"

#include <cstdint>
#include <new>

namespace {

[[gnu::noinline]] weft::task<std::int64_t> add_one(std::int64_t x) { co_return x + 1; }
[[gnu::noinline]] bench::bare_task bare_add_one(std::int64_t x) { co_return x + 1; }
[[gnu::noinline]] std::int64_t call_add_one(std::int64_t x) { return x + 1; }

void check(benchmark::State& state, std::int64_t sum) {
  bench::expect(state, sum == state.iterations(), "lost a call");
}

weft::task<> await_all(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) sum = co_await add_one(sum);
  check(state, sum);
}
void weft_task(benchmark::State& state) { weft::run(await_all(state)); }

bench::bare_task await_all_bare(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) sum = co_await bare_add_one(sum);
  check(state, sum);
  co_return sum;
}
void bare_coroutine(benchmark::State& state) { await_all_bare(state).run(); }

void function_pointer(benchmark::State& state) {
  std::int64_t (*volatile call)(std::int64_t) = call_add_one;
  std::int64_t sum = 0;
  for (auto _ : state) sum = call(sum);
  check(state, sum);
}

void new_delete(benchmark::State& state) {
  constexpr std::size_t frame_bytes = 96;
  std::int64_t sum = 0;
  for (auto _ : state) {
    void* p = ::operator new(frame_bytes);
    benchmark::DoNotOptimize(p);
    ::operator delete(p, frame_bytes);
    ++sum;
  }
  check(state, sum);
}

}  // namespace

BENCHMARK(weft_task)->Name("runtime/task_await/weft")->Apply(bench::wall_clock);
BENCHMARK(bare_coroutine)->Name("runtime/task_await/bare_coroutine")->Apply(bench::wall_clock);
BENCHMARK(function_pointer)->Name("runtime/task_await/function_pointer")->Apply(bench::wall_clock);
BENCHMARK(new_delete)->Name("runtime/task_await/new_delete")->Apply(bench::wall_clock);

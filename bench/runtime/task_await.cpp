// SPDX-License-Identifier: MIT
// What does `co_await f()` cost, when f ends without waiting?
//
// Measured: create a task, await it, take its value, destroy it; the callee is not inlined, so that
// its frame is really made. (`task_await_inlinable`: it may be, and the compiler may do without the
// frame.) The value goes into the next call: latency, not throughput. Not measured: suspending (see
// yield), cold caches. Bound: the frame cache, two transfers of control. Baselines: the call
// through a function pointer; operator new and delete of as many bytes as the frame has; the least
// coroutine that there can be; Asio's.

#include "bench/support/asio_run.hpp"
#include "bench/support/bare_task.hpp"
#include "bench/support/measure.hpp"

#include <cstdint>
#include <new>

namespace {

[[gnu::noinline]] weft::task<std::int64_t> add_one(std::int64_t x) { co_return x + 1; }
[[gnu::noinline]] bench::bare_task bare_add_one(std::int64_t x) { co_return x + 1; }
[[gnu::noinline]] asio::awaitable<std::int64_t> asio_add_one(std::int64_t x) { co_return x + 1; }
weft::task<std::int64_t> inlinable_add_one(std::int64_t x) { co_return x + 1; }
bench::bare_task bare_inlinable_add_one(std::int64_t x) { co_return x + 1; }
asio::awaitable<std::int64_t> asio_inlinable_add_one(std::int64_t x) { co_return x + 1; }
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

weft::task<> await_all_inlinable(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) {
    sum = co_await inlinable_add_one(sum);
    benchmark::DoNotOptimize(sum);
  }
  check(state, sum);
}
void weft_inlinable(benchmark::State& state) { weft::run(await_all_inlinable(state)); }

bench::bare_task await_all_bare(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) sum = co_await bare_add_one(sum);
  check(state, sum);
  co_return sum;
}
void bare_coroutine(benchmark::State& state) { await_all_bare(state).run(); }

bench::bare_task await_all_bare_inlinable(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) {
    sum = co_await bare_inlinable_add_one(sum);
    benchmark::DoNotOptimize(sum);
  }
  check(state, sum);
  co_return sum;
}
void bare_inlinable(benchmark::State& state) { await_all_bare_inlinable(state).run(); }

asio::awaitable<void> await_all_asio(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) sum = co_await asio_add_one(sum);
  check(state, sum);
}
void asio_coroutine(benchmark::State& state) { bench::run_asio(1, await_all_asio(state)); }

asio::awaitable<void> await_all_asio_inlinable(benchmark::State& state) {
  std::int64_t sum = 0;
  for (auto _ : state) {
    sum = co_await asio_inlinable_add_one(sum);
    benchmark::DoNotOptimize(sum);
  }
  check(state, sum);
}
void asio_inlinable(benchmark::State& state) {
  bench::run_asio(1, await_all_asio_inlinable(state));
}

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
BENCHMARK(asio_coroutine)->Name("runtime/task_await/asio")->Apply(bench::wall_clock);
BENCHMARK(weft_inlinable)->Name("runtime/task_await_inlinable/weft")->Apply(bench::wall_clock);
BENCHMARK(bare_inlinable)
    ->Name("runtime/task_await_inlinable/bare_coroutine")
    ->Apply(bench::wall_clock);
BENCHMARK(asio_inlinable)->Name("runtime/task_await_inlinable/asio")->Apply(bench::wall_clock);
BENCHMARK(function_pointer)
    ->Name("runtime/task_await_inlinable/function_pointer")
    ->Apply(bench::wall_clock);

// SPDX-License-Identifier: MIT
// What does a level of a deep chain of awaits cost?
//
// Measured: 1000 tasks that await each other, from the first call to the last return; `per_item` is
// a level. Unlike in task_await 1000 frames are alive at once. Not measured: suspending with such a
// chain below. Bound: the memory of the frames (128 KiB), two transfers of control a level.
// Baselines: recursion through a function pointer, through the least coroutine there can be, and
// through Asio's.

#include "bench/support/asio_run.hpp"
#include "bench/support/bare_task.hpp"
#include "bench/support/measure.hpp"

#include <cstdint>

namespace {

weft::task<std::int64_t> descend(std::int64_t levels) {
  if (levels == 0) co_return 0;
  const std::int64_t below = co_await descend(levels - 1);
  co_return below + 1;
}
weft::task<> descend_all(benchmark::State& state) {
  for (auto _ : state) {
    const std::int64_t levels = co_await descend(state.range(0));
    if (levels != state.range(0)) state.SkipWithError("lost a level");
  }
  bench::per_item(state, bench::size(state, 0));
}
void weft_task(benchmark::State& state) { weft::run(descend_all(state)); }

bench::bare_task bare_descend(std::int64_t levels) {
  if (levels == 0) co_return 0;
  const std::int64_t below = co_await bare_descend(levels - 1);
  co_return below + 1;
}
void bare_coroutine(benchmark::State& state) {
  for (auto _ : state) {
    const std::int64_t levels = bare_descend(state.range(0)).run();
    if (levels != state.range(0)) state.SkipWithError("lost a level");
  }
  bench::per_item(state, bench::size(state, 0));
}

asio::awaitable<std::int64_t> asio_descend(std::int64_t levels) {
  if (levels == 0) co_return 0;
  const std::int64_t below = co_await asio_descend(levels - 1);
  co_return below + 1;
}
asio::awaitable<void> asio_descend_all(benchmark::State& state) {
  for (auto _ : state) {
    const std::int64_t levels = co_await asio_descend(state.range(0));
    if (levels != state.range(0)) state.SkipWithError("lost a level");
  }
}
void asio_coroutine(benchmark::State& state) {
  bench::run_asio(1, asio_descend_all(state));
  bench::per_item(state, bench::size(state, 0));
}

std::int64_t call_descend(std::int64_t levels);
std::int64_t (*volatile call)(std::int64_t) = call_descend;
std::int64_t call_descend(std::int64_t levels) { return levels == 0 ? 0 : call(levels - 1) + 1; }

void function_pointer(benchmark::State& state) {
  for (auto _ : state) {
    const std::int64_t levels = call(state.range(0));
    if (levels != state.range(0)) state.SkipWithError("lost a level");
  }
  bench::per_item(state, bench::size(state, 0));
}

void depths(benchmark::internal::Benchmark* b) {
  b->ArgName("depth")->Arg(1000)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_task)->Name("runtime/task_chain/weft")->Apply(depths);
BENCHMARK(bare_coroutine)->Name("runtime/task_chain/bare_coroutine")->Apply(depths);
BENCHMARK(asio_coroutine)->Name("runtime/task_chain/asio")->Apply(depths);
BENCHMARK(function_pointer)->Name("runtime/task_chain/function_pointer")->Apply(depths);

// SPDX-License-Identifier: MIT
// What do two stages of a pipeline gain by a second worker, where each computes for about 100 ns to
// a microsecond for a value?
//
// Measured: the first stage computes values and sends them through a channel, the second receives
// each and computes on; `per_item` is a value. `work` counts multiplications of which each needs
// the last one's result: some 3 cycles, a nanosecond or so. Without slots each value is handed over
// while its sender waits; with 16 a stage may be ahead. Not measured: what the channel costs alone
// (see channel). Bound: the longer stage, at best half of the serial time; whether a woken task is
// taken by the worker that has nothing to do, and not by one that loses by it. Baseline: both
// stages in one loop.

#include "bench/support/measure.hpp"
#include <weft/runtime/channel.hpp>
#include <weft/runtime/task_group.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace {

std::uint64_t compute(std::uint64_t x, std::size_t multiplications) {
  for (std::size_t i = 0; i < multiplications; ++i) {
    x *= 0x9E37'79B9'7F4A'7C15;
    benchmark::DoNotOptimize(x);
  }
  return x;
}

std::size_t values(std::size_t work) { return 2'000'000 / work; }

weft::task<> first(weft::channel_sender<std::uint64_t> to, std::size_t work) {
  for (std::size_t i = 0; i < values(work); ++i) co_await to.send(compute(i, work));
}

weft::task<> second(weft::channel_receiver<std::uint64_t> from, std::size_t work,
                    std::uint64_t& sum) {
  while (const std::optional<std::uint64_t> value = co_await from.receive())
    sum += compute(*value, work);
}

std::uint64_t both(std::size_t work) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < values(work); ++i) sum += compute(compute(i, work), work);
  return sum;
}

weft::task<> by_channel(benchmark::State& state) {
  const std::size_t work = bench::size(state, 0);
  const std::uint64_t right = both(work);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    auto body = [&](weft::task_group& group) -> weft::task<> {
      auto ends = weft::channel<std::uint64_t>(bench::size(state, 2));
      group.spawn(first, std::move(ends.sender), work);
      group.spawn(second, std::move(ends.receiver), work, std::ref(sum));
      co_return;
    };
    co_await weft::with_task_group(body);
    if (sum != right) state.SkipWithError("lost a value");
  }
  bench::per_item(state, values(work));
}
void weft_stages(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, by_channel(state));
}

void serial(benchmark::State& state) {
  const std::size_t work = bench::size(state, 0);
  for (auto _ : state) {
    std::uint64_t sum = both(work);
    benchmark::DoNotOptimize(sum);
  }
  bench::per_item(state, values(work));
}

}  // namespace

BENCHMARK(weft_stages)
    ->Name("sched/two_stages/weft")
    ->ArgNames({"work", "workers", "slots"})
    ->ArgsProduct({{100, 300, 1000}, {1, 2}, {0, 16}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(serial)
    ->Name("sched/two_stages/serial")
    ->ArgName("work")
    ->Arg(100)
    ->Arg(300)
    ->Arg(1000)
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);

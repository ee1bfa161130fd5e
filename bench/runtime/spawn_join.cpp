// SPDX-License-Identifier: MIT
// What does it cost to spawn a task into a group and to join it?
//
// Measured: one task spawns all, each of them writes one word, the group joins them; `per_item` is
// a task. All records are alive at once (a million: a quarter of a gigabyte), since the children
// run after the spawning task. Not measured: waiting children. Bound: for 10^4 a record, a frame
// and one trip through the ready queue, for 10^6 memory, which the kernel gives anew each time.
// Baselines: as many closures made on the heap, queued and then called; calls through a pointer;
// Asio's co_spawn by a coroutine, without a join: the context runs out of work.

#include "bench/support/asio_run.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/task_group.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace {

weft::task<> write(std::uint32_t& slot, std::uint32_t value) {
  slot = value;
  co_return;
}
[[gnu::noinline]] void call_write(std::uint32_t& slot, std::uint32_t value) { slot = value; }

void check(benchmark::State& state, const std::vector<std::uint32_t>& slots, std::uint32_t round) {
  const bool all = std::all_of(slots.begin(), slots.end(), [&](auto s) { return s == round; });
  bench::expect(state, all, "a task did not run");
  bench::per_item(state, slots.size());
}

weft::task<> spawn_and_join(benchmark::State& state) {
  std::vector<std::uint32_t> slots(bench::size(state, 0));
  std::uint32_t round = 0;
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (std::uint32_t& slot : slots) group.spawn(write, std::ref(slot), round);
    co_return;
  };
  for (auto _ : state) {
    ++round;
    co_await weft::with_task_group(body);
  }
  check(state, slots, round);
}
void weft_task(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, spawn_and_join(state));
}

asio::awaitable<void> asio_write(std::uint32_t& slot, std::uint32_t value) {
  slot = value;
  co_return;
}
asio::awaitable<void> asio_spawn_all(std::vector<std::uint32_t>& slots, std::uint32_t round) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  for (std::uint32_t& slot : slots)
    asio::co_spawn(executor, asio_write(slot, round), asio::detached);
}
void asio_coroutines(benchmark::State& state) {
  std::vector<std::uint32_t> slots(bench::size(state, 0));
  std::uint32_t round = 0;
  for (auto _ : state) {
    ++round;
    bench::run_asio(bench::size(state, 1), asio_spawn_all(slots, round));
  }
  check(state, slots, round);
}

void function_queue(benchmark::State& state) {
  std::vector<std::uint32_t> slots(bench::size(state, 0));
  std::uint32_t round = 0;
  std::deque<std::function<void()>> queue;
  for (auto _ : state) {
    ++round;
    // Three words: more than std::function holds without the heap.
    for (std::uint32_t& slot : slots)
      queue.emplace_back([to = &slot, value = round, call = call_write] { call(*to, value); });
    while (!queue.empty()) {
      queue.front()();
      queue.pop_front();
    }
  }
  check(state, slots, round);
}

void function_pointer(benchmark::State& state) {
  void (*volatile call)(std::uint32_t&, std::uint32_t) = call_write;
  std::vector<std::uint32_t> slots(bench::size(state, 0));
  std::uint32_t round = 0;
  for (auto _ : state) {
    ++round;
    for (std::uint32_t& slot : slots) call(slot, round);
  }
  check(state, slots, round);
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgName("tasks")->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
  b->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_task)
    ->Name("runtime/spawn_join/weft")
    ->ArgNames({"tasks", "workers"})
    ->ArgsProduct({{10'000, 1'000'000}, {1, 2}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(asio_coroutines)
    ->Name("runtime/spawn_join/asio")
    ->ArgNames({"tasks", "workers"})
    ->ArgsProduct({{10'000, 1'000'000}, {1, 2}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(function_queue)->Name("runtime/spawn_join/function_queue")->Apply(sizes);
BENCHMARK(function_pointer)->Name("runtime/spawn_join/function_pointer")->Apply(sizes);

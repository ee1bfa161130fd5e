// SPDX-License-Identifier: MIT
// What does a fair yield cost: to the end of the queue of ready tasks and back?
//
// Measured: 100,000 yields in all, by one task or by 1000 that take turns; `per_item` is one of
// them. On a pool of two workers the queue is shared with a thief. Included: making and joining the
// tasks, 1 ns per yield where there are 1000. Bound: push and pop of the ready queue, one indirect
// jump, with 1000 tasks their frames in the cache. Baselines: a std::deque of function pointers
// from whose head each is called and pushed back; a call through a function pointer; Asio's
// coroutines, which post themselves to a context with as many threads.

#include "bench/support/asio_run.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/task_group.hpp>
#include <weft/runtime/yield.hpp>

#include <asio/post.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace {

constexpr std::size_t yields = 100'000;

weft::task<> yield_often(std::size_t& count, std::size_t target) {
  while (count < target) {
    co_await weft::yield();
    ++count;
  }
}

/// A count on a cache line of its own: on a pool the tasks run side by side.
struct alignas(64) own_count {
  std::size_t value = 0;
};

weft::task<> take_turns(benchmark::State& state) {
  const std::size_t tasks = bench::size(state, 0);
  std::vector<own_count> counts(tasks);
  std::size_t target = 0;
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (own_count& c : counts) group.spawn(yield_often, std::ref(c.value), target);
    co_return;
  };
  for (auto _ : state) {
    target += yields / tasks;
    co_await weft::with_task_group(body);
  }
  for (const own_count& c : counts) bench::expect(state, c.value == target, "lost a turn");
  bench::per_item(state, yields);
}
void weft_task(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, take_turns(state));
}

struct job {
  void (*call)(job&, std::deque<job*>&);
  std::size_t left;
};
void run_job(job& self, std::deque<job*>& queue) {
  if (--self.left != 0) queue.push_back(&self);
}

void function_queue(benchmark::State& state) {
  const std::size_t tasks = bench::size(state, 0);
  std::vector<job> jobs(tasks);
  std::deque<job*> queue;
  for (auto _ : state) {
    for (job& j : jobs) {
      j = {run_job, yields / tasks};
      queue.push_back(&j);
    }
    benchmark::DoNotOptimize(jobs.data());
    benchmark::ClobberMemory();
    while (!queue.empty()) {
      job& next = *queue.front();
      queue.pop_front();
      next.call(next, queue);
    }
  }
  for (const job& j : jobs) bench::expect(state, j.left == 0, "lost a turn");
  bench::per_item(state, yields);
}

asio::awaitable<void> asio_yield_often(std::size_t& count, std::size_t target) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  while (count < target) {
    co_await asio::post(executor, asio::use_awaitable);
    ++count;
  }
}

void asio_coroutines(benchmark::State& state) {
  const std::size_t tasks = bench::size(state, 0);
  std::vector<own_count> counts(tasks);
  std::size_t target = 0;
  asio::io_context context(static_cast<int>(state.range(1)));
  for (auto _ : state) {
    target += yields / tasks;
    for (own_count& c : counts)
      asio::co_spawn(context, asio_yield_often(c.value, target), asio::detached);
    bench::run_on_threads(context, bench::size(state, 1));
    context.restart();
  }
  for (const own_count& c : counts) bench::expect(state, c.value == target, "lost a turn");
  bench::per_item(state, yields);
}

[[gnu::noinline]] std::size_t add_one(std::size_t x) { return x + 1; }

void function_pointer(benchmark::State& state) {
  std::size_t (*volatile call)(std::size_t) = add_one;
  std::size_t sum = 0;
  for (auto _ : state)
    for (std::size_t i = 0; i < yields; ++i) sum = call(sum);
  bench::expect(state, sum == yields * static_cast<std::size_t>(state.iterations()), "lost a call");
  bench::per_item(state, yields);
}

}  // namespace

BENCHMARK(weft_task)
    ->Name("runtime/yield/weft")
    ->ArgNames({"tasks", "workers"})
    ->ArgsProduct({{1, 1000}, {1, 2}})
    ->Apply(bench::wall_clock);
BENCHMARK(asio_coroutines)
    ->Name("runtime/yield/asio")
    ->ArgNames({"tasks", "workers"})
    ->ArgsProduct({{1, 1000}, {1, 2}})
    ->Apply(bench::wall_clock);
BENCHMARK(function_queue)
    ->Name("runtime/yield/function_queue")
    ->ArgName("tasks")
    ->Arg(1)
    ->Arg(1000)
    ->Apply(bench::wall_clock);
BENCHMARK(function_pointer)->Name("runtime/yield/function_pointer")->Apply(bench::wall_clock);

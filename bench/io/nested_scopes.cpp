// SPDX-License-Identifier: MIT
// What does a cancel scope cost an await of I/O that it contains, and one that 10,000 tasks share?
//
// Measured: reads of 16 bytes of /dev/zero, `per_item` is one, by one task and by 10,000 tasks. The
// scopes are task groups that are opened once around all reads of a task. Not measured: opening
// them, but for a fiftieth of a read. Bound: the system call, which one read has for itself and
// thousands share. Baseline: the same reads with no scope but that of the run; for those who share
// one, tasks of which each is in a group of its own.

#include "bench/support/measure.hpp"
#include <weft/io/file.hpp>
#include <weft/runtime/task_group.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

namespace {

constexpr std::size_t reads = 50;

weft::task<> read_often(weft::file& zeros, std::atomic<std::size_t>& bytes, std::size_t count) {
  std::array<char, 16> buffer;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t n = co_await zeros.read_at(0, buffer);
    sum += n;
  }
  bytes.fetch_add(sum, std::memory_order_relaxed);  // relaxed: read after the join
}

/// Within `depth` groups, one in the other.
weft::task<> read_within(weft::file& zeros, std::atomic<std::size_t>& bytes, std::size_t count,
                         std::size_t depth) {
  if (depth == 0) {
    co_await read_often(zeros, bytes, count);
  } else {
    auto body = [&](weft::task_group&) { return read_within(zeros, bytes, count, depth - 1); };
    co_await weft::with_task_group(body);
  }
}

weft::task<> one_task(benchmark::State& state, std::size_t depth) {
  constexpr std::size_t count = 1000;
  weft::file zeros = co_await weft::file::open("/dev/zero");
  std::atomic<std::size_t> bytes{0};
  for (auto _ : state) co_await read_within(zeros, bytes, count, depth);
  bench::expect(state, bytes == 16 * count * static_cast<std::size_t>(state.iterations()),
                "lost a read");
  bench::per_item(state, count);
}

weft::task<> many_tasks(benchmark::State& state, std::size_t depth) {
  const std::size_t tasks = bench::size(state, 0);
  weft::file zeros = co_await weft::file::open("/dev/zero");
  std::atomic<std::size_t> bytes{0};
  for (auto _ : state) {
    auto body = [&](weft::task_group& group) -> weft::task<> {
      for (std::size_t i = 0; i < tasks; ++i)
        group.spawn(read_within, std::ref(zeros), std::ref(bytes), reads, depth);
      co_return;
    };
    co_await weft::with_task_group(body);
  }
  bench::expect(state, bytes == 16 * reads * tasks * static_cast<std::size_t>(state.iterations()),
                "lost a read");
  bench::per_item(state, reads * tasks);
}

void in_scopes(benchmark::State& state) { weft::run(one_task(state, bench::size(state, 0))); }
void no_scope(benchmark::State& state) { weft::run(one_task(state, 0)); }
void one_scope(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, many_tasks(state, 0));
}
void own_scopes(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, many_tasks(state, 1));
}
void three_scopes(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, many_tasks(state, 3));
}

void many(benchmark::internal::Benchmark* b) {
  b->ArgNames({"tasks", "workers"})->ArgsProduct({{10'000}, {1, 2}});
  b->Unit(benchmark::kMicrosecond);
}

}  // namespace

BENCHMARK(in_scopes)
    ->Name("io/nested_scopes/weft")
    ->ArgName("depth")
    ->Arg(3)
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(no_scope)
    ->Name("io/nested_scopes/no_scope")
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(one_scope)->Name("io/shared_scope/weft")->Apply(many)->Apply(bench::wall_clock);
BENCHMARK(own_scopes)->Name("io/shared_scope/own_scopes")->Apply(many)->Apply(bench::wall_clock);
BENCHMARK(three_scopes)
    ->Name("io/shared_scope/three_scopes")
    ->Apply(many)
    ->Apply(bench::wall_clock);

// SPDX-License-Identifier: MIT
// What does it cost to cancel a group of sleeping tasks, for each of them?
//
// Measured, for each task: `request` from group.cancel() on until the last one has been woken and
// has seen the cancel as a result, with the ends of all but the last; `exception` the same where
// the cancel goes through two frames (the function that sleeps, and the task that was spawned) as
// an exception. Not measured: to spawn them and put them to sleep. Bound: a cold task and timer
// each. Baseline: for the result a std::multimap of as many timers, emptied one by one; for the
// exception bare throws that are caught and rethrown in as many frames.

#include "bench/support/measure.hpp"
#include "bench/support/random.hpp"
#include <weft/runtime/as_result.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/task_group.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// Counts those that have seen the cancel, and notes when the last one did.
class witness {
public:
  explicit witness(std::size_t tasks) : tasks_(tasks) {}
  void see() {
    if (++seen_ % tasks_ == 0) last_ = clock::now();
  }
  std::size_t seen() const { return seen_; }
  clock::time_point last() const { return last_; }

private:
  const std::size_t tasks_;
  std::size_t seen_ = 0;
  clock::time_point last_;
};

weft::task<> sleep_as_result(witness& w, std::chrono::nanoseconds more) {
  const weft::result<void> r = co_await weft::as_result(weft::sleep_for(1h + more));
  if (!r) w.see();
}

weft::task<> sleep_inside(std::chrono::nanoseconds more) { co_await weft::sleep_for(1h + more); }
weft::task<> sleep_with_exception(witness& w, std::chrono::nanoseconds more) {
  try {
    co_await sleep_inside(more);
  } catch (const weft::cancelled&) {
    w.see();
    throw;
  }
}

template <class Sleep>
void cancel_group(benchmark::State& state, Sleep sleep) {
  const std::size_t tasks = bench::size(state, 0);
  witness ended(tasks);
  std::size_t groups = 0;
  for (auto _ : state) {
    clock::time_point asked;
    auto body = [&](weft::task_group& group) -> weft::task<> {
      bench::random_numbers random;
      for (std::size_t i = 0; i < tasks; ++i)
        group.spawn(sleep, std::ref(ended), std::chrono::nanoseconds(random.next() % 1'000'000));
      co_await weft::sleep_for(1ms);  // by then they sleep
      asked = clock::now();
      group.cancel();
    };
    weft::run(weft::with_task_group(body));
    state.SetIterationTime(std::chrono::duration<double>(ended.last() - asked).count());
    ++groups;
  }
  bench::expect(state, ended.seen() == tasks * groups, "lost a cancel");
  bench::per_item(state, tasks);
}

void result(benchmark::State& state) { cancel_group(state, sleep_as_result); }
void exception(benchmark::State& state) { cancel_group(state, sleep_with_exception); }

void multimap(benchmark::State& state) {
  const std::size_t tasks = bench::size(state, 0);
  for (auto _ : state) {
    std::multimap<std::int64_t, std::size_t> timers;
    bench::random_numbers random;
    for (std::size_t i = 0; i < tasks; ++i)
      timers.emplace(static_cast<std::int64_t>(random.next() % 1'000'000), i);
    const clock::time_point begin = clock::now();
    while (!timers.empty()) timers.erase(timers.begin());
    state.SetIterationTime(std::chrono::duration<double>(clock::now() - begin).count());
  }
  bench::per_item(state, tasks);
}

// What a task's frame does with an exception: keeps it, and its awaiter rethrows it.
[[gnu::noinline]] void throwing() { throw weft::cancelled(); }
template <int Frames>
[[gnu::noinline]] void through_frames() {
  std::exception_ptr kept;
  try {
    if constexpr (Frames == 1)
      throwing();
    else
      through_frames<Frames - 1>();
  } catch (...) {
    kept = std::current_exception();
  }
  std::rethrow_exception(kept);
}

void bare_throw(benchmark::State& state) {
  const std::size_t tasks = bench::size(state, 0);
  std::size_t caught = 0;
  for (auto _ : state) {
    const clock::time_point begin = clock::now();
    for (std::size_t i = 0; i < tasks; ++i) {
      try {
        through_frames<2>();
      } catch (const weft::cancelled&) {
        ++caught;
      }
    }
    state.SetIterationTime(std::chrono::duration<double>(clock::now() - begin).count());
  }
  bench::expect(state, caught % tasks == 0, "lost an exception");
  bench::per_item(state, tasks);
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgName("tasks")->Arg(1000)->Arg(100'000)->Iterations(3)->UseManualTime();
}

}  // namespace

BENCHMARK(result)->Name("runtime/cancel_group/weft")->Apply(sizes);
BENCHMARK(multimap)->Name("runtime/cancel_group/multimap")->Apply(sizes);
BENCHMARK(exception)->Name("runtime/cancel_group_exception/weft")->Apply(sizes);
BENCHMARK(bare_throw)->Name("runtime/cancel_group_exception/bare_throw")->Apply(sizes);

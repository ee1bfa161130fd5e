// SPDX-License-Identifier: MIT
// What does locking a mutex that nobody holds cost?
//
// Measured: `auto lock = co_await m.lock()` and its end, with one addition inside. Not measured:
// contention. Bound: one compare-and-exchange for the lock and one addition for the unlock.
// Baselines: one compare-and-exchange and one exchange, the least that a lock can do; std::mutex. A
// second thread is alive, and sleeps.

#include "bench/support/measure.hpp"
#include <weft/runtime/mutex.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

namespace {

/// As long as there is one the C library does not take the short ways of a lone thread.
class second_thread {
public:
  second_thread() = default;
  second_thread(const second_thread&) = delete;
  second_thread& operator=(const second_thread&) = delete;
  ~second_thread() {
    ended_ = true;
    ended_.notify_one();
  }

private:
  std::atomic<bool> ended_{false};
  std::jthread waits_{[this] { ended_.wait(false); }};
};

weft::task<> lock_often(benchmark::State& state) {
  weft::mutex m;
  std::int64_t sum = 0;
  for (auto _ : state) {
    const auto lock = co_await m.lock();
    benchmark::DoNotOptimize(++sum);
  }
  bench::expect(state, sum == state.iterations(), "wrong sum");
}
void weft_mutex(benchmark::State& state) {
  const second_thread other;
  weft::run({.workers = bench::workers(state, 0)}, lock_often(state));
}

void compare_exchange(benchmark::State& state) {
  const second_thread other;
  std::atomic<bool> locked{false};
  std::int64_t sum = 0;
  for (auto _ : state) {
    bool expected = false;
    // sync: the exchange below (release) -> acquire, as in a lock
    if (locked.compare_exchange_strong(expected, true, std::memory_order_acquire))
      benchmark::DoNotOptimize(++sum);
    locked.exchange(false, std::memory_order_release);
  }
  bench::expect(state, sum == state.iterations(), "wrong sum");
}

void std_mutex(benchmark::State& state) {
  const second_thread other;
  std::mutex m;
  std::int64_t sum = 0;
  for (auto _ : state) {
    const std::lock_guard lock(m);
    benchmark::DoNotOptimize(++sum);
  }
  bench::expect(state, sum == state.iterations(), "wrong sum");
}

}  // namespace

BENCHMARK(weft_mutex)
    ->Name("runtime/mutex/weft")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Apply(bench::wall_clock);
BENCHMARK(compare_exchange)->Name("runtime/mutex/compare_exchange")->Apply(bench::wall_clock);
BENCHMARK(std_mutex)->Name("runtime/mutex/std_mutex")->Apply(bench::wall_clock);

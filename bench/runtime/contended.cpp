// SPDX-License-Identifier: MIT
// What does a mutex, a semaphore or a channel cost that 2, 16 or 1000 wait for?
//
// Measured: 20,000 turns (of std::counting_semaphore 2,000, since one takes up to a millisecond),
// `per_item` is one. Mutex and semaphore (one permit, two permits): each holds it across a yield,
// so that the others queue up. Channel: one sends, the others receive, and there is no slot, so
// that they wait. Included: making and joining tasks or threads. Not measured: fairness (weft's are
// first come, first served, the baselines are not). Bound: a queue, and a trip through the ready
// queue for each turn. Baselines: std::mutex, std::counting_semaphore, a value under a mutex with
// two condition variables; each between as many threads.

#include "bench/support/measure.hpp"
#include <weft/runtime/channel.hpp>
#include <weft/runtime/mutex.hpp>
#include <weft/runtime/semaphore.hpp>
#include <weft/runtime/task_group.hpp>
#include <weft/runtime/yield.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t turns = 20'000;

using count_type = std::atomic<std::size_t>;

weft::task<> lock_in_turn(weft::mutex& m, count_type& done, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) {
    const auto lock = co_await m.lock();
    co_await weft::yield();
    done.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join
  }
}

weft::task<> acquire_in_turn(weft::semaphore& s, count_type& done, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) {
    const auto permit = co_await s.acquire();
    co_await weft::yield();
    done.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join
  }
}

weft::task<> receive_all(weft::channel_receiver<std::size_t> from, count_type& done) {
  for (;;) {
    const std::optional<std::size_t> n = co_await from.receive();
    if (!n) break;
    done.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join
  }
}

weft::task<> send_all(weft::channel_sender<std::size_t> to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await to.send(i);
}

/// `spawn_all(group, n, times)` starts n tasks that take `times` turns each.
template <class SpawnAll>
weft::task<> in_turn(benchmark::State& state, SpawnAll spawn_all, count_type& done) {
  const std::size_t tasks = bench::size(state, 0);
  for (auto _ : state) {
    done = 0;
    auto body = [&](weft::task_group& group) -> weft::task<> {
      spawn_all(group, tasks, turns / tasks);
      co_return;
    };
    co_await weft::with_task_group(body);
    if (done != turns / tasks * tasks) state.SkipWithError("lost a turn");
  }
  bench::per_item(state, turns);
}

void weft_mutex(benchmark::State& state) {
  weft::mutex m;
  count_type done{0};
  auto all = [&](weft::task_group& group, std::size_t tasks, std::size_t times) {
    for (std::size_t i = 0; i < tasks; ++i)
      group.spawn(lock_in_turn, std::ref(m), std::ref(done), times);
  };
  weft::run({.workers = bench::workers(state, 1)}, in_turn(state, all, done));
}

void weft_semaphore(benchmark::State& state) {
  weft::semaphore s(2);
  count_type done{0};
  auto all = [&](weft::task_group& group, std::size_t tasks, std::size_t times) {
    for (std::size_t i = 0; i < tasks; ++i)
      group.spawn(acquire_in_turn, std::ref(s), std::ref(done), times);
  };
  weft::run({.workers = bench::workers(state, 1)}, in_turn(state, all, done));
}

void weft_channel(benchmark::State& state) {
  count_type done{0};
  auto all = [&](weft::task_group& group, std::size_t tasks, std::size_t times) {
    auto ends = weft::channel<std::size_t>(0);
    for (std::size_t i = 0; i < tasks; ++i) group.spawn(receive_all, ends.receiver, std::ref(done));
    group.spawn(send_all, std::move(ends.sender), tasks * times);
  };
  weft::run({.workers = bench::workers(state, 1)}, in_turn(state, all, done));
}

/// As many threads, which share `all` turns.
template <class Turn>
void threads_in_turn(benchmark::State& state, std::size_t all, Turn turn) {
  const std::size_t count = bench::size(state, 0);
  const std::size_t times = all / count;
  for (auto _ : state) {
    count_type done{0};
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&] {
          for (std::size_t n = 0; n < times; ++n) {
            turn();
            done.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join
          }
        });
      }
    }
    if (done != times * count) state.SkipWithError("lost a turn");
  }
  bench::per_item(state, all);
}

void std_mutex(benchmark::State& state) {
  std::mutex m;
  threads_in_turn(state, turns, [&] {
    const std::lock_guard lock(m);
    std::this_thread::yield();
  });
}

void std_semaphore(benchmark::State& state) {
  std::counting_semaphore<2> s(2);
  threads_in_turn(state, turns / 10, [&] {
    s.acquire();
    std::this_thread::yield();
    s.release();
  });
}

void condition_variables(benchmark::State& state) {
  const std::size_t count = bench::size(state, 0);
  const std::size_t sent = turns / count * count;
  for (auto _ : state) {
    std::mutex m;
    std::condition_variable has_value;
    std::condition_variable has_room;
    std::optional<std::size_t> value;
    bool closed = false;
    count_type done{0};
    std::vector<std::jthread> receivers;
    for (std::size_t i = 0; i < count; ++i) {
      receivers.emplace_back([&] {
        for (;;) {
          std::unique_lock lock(m);
          has_value.wait(lock, [&] { return value.has_value() || closed; });
          if (!value) return;
          value.reset();
          lock.unlock();
          has_room.notify_one();
          done.fetch_add(1, std::memory_order_relaxed);  // relaxed: read after the join
        }
      });
    }
    for (std::size_t i = 0; i < sent; ++i) {
      std::unique_lock lock(m);
      has_room.wait(lock, [&] { return !value.has_value(); });
      value = i;
      lock.unlock();
      has_value.notify_one();
    }
    {
      std::unique_lock lock(m);
      has_room.wait(lock, [&] { return !value.has_value(); });
      closed = true;
    }
    has_value.notify_all();
    receivers.clear();
    if (done != sent) state.SkipWithError("lost a value");
  }
  bench::per_item(state, turns);
}

void tasks(benchmark::internal::Benchmark* b) {
  b->ArgNames({"waiting", "workers"})->ArgsProduct({{2, 16, 1000}, {1, 2}});
  b->Unit(benchmark::kMicrosecond);
}
void threads(benchmark::internal::Benchmark* b) {
  b->ArgName("waiting")->Arg(2)->Arg(16)->Arg(1000)->Unit(benchmark::kMicrosecond);
}

}  // namespace

BENCHMARK(weft_mutex)->Name("runtime/contended_mutex/weft")->Apply(tasks)->Apply(bench::wall_clock);
BENCHMARK(std_mutex)
    ->Name("runtime/contended_mutex/std_mutex")
    ->Apply(threads)
    ->Apply(bench::wall_clock);
BENCHMARK(weft_semaphore)
    ->Name("runtime/contended_semaphore/weft")
    ->Apply(tasks)
    ->Apply(bench::wall_clock);
BENCHMARK(std_semaphore)
    ->Name("runtime/contended_semaphore/std_semaphore")
    ->Apply(threads)
    ->Apply(bench::wall_clock);
BENCHMARK(weft_channel)
    ->Name("runtime/contended_channel/weft")
    ->Apply(tasks)
    ->Apply(bench::wall_clock);
BENCHMARK(condition_variables)
    ->Name("runtime/contended_channel/condition_variables")
    ->Apply(threads)
    ->Apply(bench::wall_clock);

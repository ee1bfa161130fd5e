// SPDX-License-Identifier: MIT
// Who is served while a fork-join computation keeps every worker busy?
//
// Measured: on a pool, beside a task that computes fib(24) by forks again and again without an end:
// one that sleeps for 1 ms again and again, and one that each millisecond sends a message through a
// connection on loopback to a third, which sends it back. For 400 ms. `late` is by how much a sleep
// was too long, `trip` from the write until the echo is there, both in seconds: its two ends wait
// in the same pool. The time of an iteration says nothing. Not measured: what the computation
// loses. Bound: how many forks a worker runs between two looks at its timers and its ring; where
// others use the cores too, the kernel, which takes one away from a busy worker for some
// milliseconds. Baselines: the same pool without the computation; plain threads, as many computing
// as there are workers, where the kernel is who divides the cores.

#include "bench/support/loopback.hpp"
#include "bench/support/measure.hpp"
#include <weft/io/tcp.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/task_group.hpp>
#include <weft/runtime/when_all.hpp>
#include <weft/runtime/yield.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace {

using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;
using message = std::array<std::byte, 64>;
constexpr auto nap = std::chrono::milliseconds(1);
constexpr auto window = std::chrono::milliseconds(400);
constexpr std::int64_t n = 24;

/// What was seen of one of the two; written by one task or thread.
class sample {
public:
  void add(clock_type::duration d) { all_.push_back(seconds(d).count()); }
  std::size_t count() const { return all_.size(); }

  void tell(benchmark::State& state, const std::string& name) {
    if (all_.empty()) return state.SkipWithError("somebody was never served");
    std::sort(all_.begin(), all_.end());
    const auto at = [&](double share) {
      return all_[static_cast<std::size_t>(share * static_cast<double>(all_.size() - 1))];
    };
    state.counters[name + "_p50"] = at(0.5);
    state.counters[name + "_p99"] = at(0.99);
    state.counters[name + "_max"] = all_.back();
  }

private:
  std::vector<double> all_;
};

struct samples {
  void tell(benchmark::State& state) {
    late.tell(state, "late");
    trip.tell(state, "trip");
  }
  sample late;
  sample trip;
};

using flag = std::atomic<bool>;

// --- weft -------------------------------------------------------------------------------------

weft::task<std::int64_t> fib(std::int64_t i) {
  if (i < 2) co_return i;
  const auto both = co_await weft::when_all(fib(i - 1), fib(i - 2));
  co_return std::get<0>(both) + std::get<1>(both);
}
weft::task<> compute(const flag& over) {
  while (!over.load(std::memory_order_relaxed)) {  // relaxed: only when it is seen matters
    const std::int64_t value = co_await fib(n);
    benchmark::DoNotOptimize(value);
  }
}

weft::task<> sleep_often(const flag& over, sample& late) {
  while (!over.load(std::memory_order_relaxed)) {  // relaxed: as above
    const auto begin = clock_type::now();
    co_await weft::sleep_for(nap);
    late.add(clock_type::now() - begin - nap);
  }
}

weft::task<> echo(weft::tcp_listener& listener) {
  weft::tcp_stream stream = co_await listener.accept();
  stream.set_nodelay(true);
  message bytes;
  for (;;) {
    const std::size_t received = co_await stream.read(bytes);
    if (received == 0) break;
    co_await stream.write_all({bytes.data(), received});
  }
}

weft::task<> ask_often(weft::endpoint server, const flag& over, sample& trip) {
  weft::tcp_stream stream = co_await weft::tcp_stream::connect(server);
  stream.set_nodelay(true);
  message bytes{};
  while (!over.load(std::memory_order_relaxed)) {  // relaxed: as above
    const auto begin = clock_type::now();
    co_await stream.write_all(bytes);
    co_await stream.read_exact(bytes);
    trip.add(clock_type::now() - begin);
    co_await weft::sleep_for(nap);
  }
}

weft::task<> live(bool busy, const flag& over, samples& seen) {
  auto listener = weft::tcp_listener::bind("127.0.0.1:0");
  auto body = [&](weft::task_group& group) -> weft::task<> {
    group.spawn(echo, std::ref(listener));
    group.spawn(ask_often, listener.local_endpoint(), std::cref(over), std::ref(seen.trip));
    group.spawn(sleep_often, std::cref(over), std::ref(seen.late));
    if (busy) group.spawn(compute, std::cref(over));
    co_return;
  };
  co_await weft::with_task_group(body);
}

template <bool Busy>
void weft_pool(benchmark::State& state) {
  samples seen;
  weft::thread_pool pool({.workers = bench::workers(state, 0)});
  for (auto _ : state) {
    flag over{false};
    std::jthread ends([&over] {
      std::this_thread::sleep_for(window);
      over = true;
    });
    pool.run(live(Busy, over, seen));
  }
  seen.tell(state);
}

// --- Threads ----------------------------------------------------------------------------------

std::int64_t serial_fib(std::int64_t i) {
  return i < 2 ? i : serial_fib(i - 1) + serial_fib(i - 2);
}

/// All of it, over a plain socket.
bool read_all(const bench::owned_fd& from, message& bytes) {
  for (std::size_t got = 0; got < bytes.size();) {
    const auto n_more = ::read(from.get(), bytes.data() + got, bytes.size() - got);
    if (n_more <= 0) return false;
    got += static_cast<std::size_t>(n_more);
  }
  return true;
}
void write_all(const bench::owned_fd& to, const message& bytes) {
  bench::checked(::write(to.get(), bytes.data(), bytes.size()), "write");
}

void threads(benchmark::State& state) {
  samples seen;
  for (auto _ : state) {
    flag over{false};
    bench::port_promise promise;
    auto port = promise.get_future();
    const bench::owned_fd listener = bench::listen_on_loopback(std::move(promise));
    std::vector<std::jthread> all;
    for (unsigned i = 0; i < bench::workers(state, 0); ++i) {
      all.emplace_back([&over] {
        std::int64_t argument = n;
        while (!over) {
          benchmark::DoNotOptimize(argument);
          benchmark::DoNotOptimize(serial_fib(argument));
        }
      });
    }
    all.emplace_back([&listener] {
      const bench::owned_fd stream = bench::accepted(listener);
      for (message bytes; read_all(stream, bytes);) write_all(stream, bytes);
    });
    all.emplace_back([&, server = port.get()] {
      const bench::owned_fd stream = bench::connected(server);
      message bytes{};
      while (!over) {
        const auto begin = clock_type::now();
        write_all(stream, bytes);
        if (!read_all(stream, bytes)) return;
        seen.trip.add(clock_type::now() - begin);
        std::this_thread::sleep_for(nap);
      }
    });
    all.emplace_back([&] {
      while (!over) {
        const auto begin = clock_type::now();
        std::this_thread::sleep_for(nap);
        seen.late.add(clock_type::now() - begin - nap);
      }
    });
    std::this_thread::sleep_for(window);
    over = true;
  }
  seen.tell(state);
}

void one_and_two(benchmark::internal::Benchmark* b) {
  b->ArgName("workers")->Arg(1)->Arg(2)->Iterations(1)->Unit(benchmark::kMillisecond);
  b->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(weft_pool<true>)->Name("sched/fairness/weft")->Apply(one_and_two);
BENCHMARK(weft_pool<false>)->Name("sched/fairness/idle_pool")->Apply(one_and_two);
BENCHMARK(threads)->Name("sched/fairness/threads")->Apply(one_and_two);

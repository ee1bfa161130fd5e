// SPDX-License-Identifier: MIT
// How long does it take a plain thread to wake a loop that sleeps in its ring, and to hear back?
//
// Measured: post a function, which rings an eventfd that the thread polls; before each trip 50 us
// pass untimed, so that the other side sleeps. `there_p50` is the way there alone, in seconds: from
// the post until the function runs. Not measured: loops that are awake. Bound: the kernel's wake-up
// of a core that may be halted (tens of microseconds in a virtual machine), twice. Baselines: a
// thread that polls an eventfd and rings one back; one that waits for a condition variable.

#include "bench/support/descriptors.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/event.hpp>
#include <weft/sched/work_guard.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

namespace {

using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;
constexpr auto idle = std::chrono::microseconds(50);

/// Something that sleeps until it is rung: as a loop does in its ring, and a thread in poll().
class bell {
public:
  void ring() {
    const std::uint64_t one = 1;
    bench::checked(::write(fd_.get(), &one, sizeof one), "write");
  }
  void wait() {
    pollfd entry{fd_.get(), POLLIN, 0};
    bench::checked(::poll(&entry, 1, -1), "poll");
    std::uint64_t count = 0;
    bench::checked(::read(fd_.get(), &count, sizeof count), "read");
  }

private:
  bench::owned_fd fd_{bench::checked(eventfd(0, EFD_CLOEXEC), "eventfd")};
};

/// What the woken side tells: when it woke. Read after the bell has rung.
struct answer {
  void give() {
    woke = clock_type::now();
    ++count;
    back.ring();
  }
  clock_type::time_point woke;
  std::int64_t count = 0;
  bell back;
};

double percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

template <class Wake>
void trips(benchmark::State& state, answer& a, Wake wake) {
  std::vector<double> there;
  for (auto _ : state) {
    for (const auto until = clock_type::now() + idle; clock_type::now() < until;) {}
    const auto begin = clock_type::now();
    wake();
    a.back.wait();
    state.SetIterationTime(seconds(clock_type::now() - begin).count());
    there.push_back(seconds(a.woke - begin).count());
  }
  bench::expect(state, a.count == state.iterations(), "lost a wake-up");
  std::sort(there.begin(), there.end());
  state.counters["there_p50"] = percentile(there, 0.5);
  state.counters["there_p99"] = percentile(there, 0.99);
}

weft::task<> stay(weft::event& over) {
  const weft::work_guard outside;
  co_await over.wait();
}

void weft_loop(benchmark::State& state) {
  weft::event_loop loop;
  weft::event over;
  std::jthread thread([&] { loop.run(stay(over)); });
  answer a;
  trips(state, a, [&] { loop.post([&a] { a.give(); }); });
  over.set();
}

void weft_pool(benchmark::State& state) {
  weft::thread_pool pool({.workers = 2});
  answer a;
  trips(state, a, [&] { pool.post([&a] { a.give(); }); });
}

void eventfd_poll(benchmark::State& state) {
  bell there;
  answer a;
  std::atomic<bool> over{false};
  std::jthread thread([&] {
    for (;;) {
      there.wait();
      if (over) return;
      a.give();
    }
  });
  trips(state, a, [&] { there.ring(); });
  over = true;
  there.ring();
}

void condition_variable(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  int wanted = 0;
  answer a;
  std::jthread thread([&] {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return wanted != 0; });
      if (wanted < 0) return;
      wanted = 0;
      a.give();
    }
  });
  const auto tell = [&](int what) {
    {
      const std::lock_guard lock(mutex);
      wanted = what;
    }
    changed.notify_one();
  };
  trips(state, a, [&] { tell(1); });
  tell(-1);
}

void manual(benchmark::internal::Benchmark* b) { b->UseManualTime()->MeasureProcessCPUTime(); }

}  // namespace

BENCHMARK(weft_loop)->Name("sched/wake_up/weft/workers:1")->Apply(manual);
BENCHMARK(weft_pool)->Name("sched/wake_up/weft/workers:2")->Apply(manual);
BENCHMARK(eventfd_poll)->Name("sched/wake_up/eventfd_poll")->Apply(manual);
BENCHMARK(condition_variable)->Name("sched/wake_up/condition_variable")->Apply(manual);

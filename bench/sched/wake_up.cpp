// SPDX-License-Identifier: MIT
// How long does it take a plain thread to wake a loop or a pool that has had nothing to do for
// 20 us or for 1 ms, and to hear back?
//
// Measured: post a function, which rings an eventfd that the thread polls; before each trip the
// thread is busy for as long as the other side is to be idle, untimed. `there_p50`, `there_p99` are
// the way there alone, in seconds: from the post until the function runs. Not measured: loops that
// are awake. Bound: the kernel's wake-up of a core that may be halted (tens of microseconds in a
// virtual machine), twice. Baselines: a thread that polls an eventfd and rings one back; one that
// waits for a condition variable; one that sleeps in a ring, to which another ring sends a message;
// Asio's post to a context.

#include "bench/support/descriptors.hpp"
#include "bench/support/measure.hpp"
#include "bench/support/raw_ring.hpp"
#include <weft/runtime/event.hpp>
#include <weft/sched/work_guard.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

namespace {

using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

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
  const auto idle = std::chrono::microseconds(state.range(0));
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
  weft::thread_pool pool({.workers = bench::workers(state, 1)});
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

void message_ring(benchmark::State& state) {
  enum : std::uint64_t { wake, end };
  std::promise<int> opened;
  answer a;
  std::jthread thread([&] {
    bench::raw_ring ring(8);
    opened.set_value(ring.ring.ring_fd);
    for (bool over = false; !over;) {
      ring.turn([&](std::uint64_t what, int) {
        if (what == end)
          over = true;
        else
          a.give();
      });
    }
  });
  const int there = opened.get_future().get();
  bench::raw_ring ring(8);
  const auto send = [&](std::uint64_t what) {
    io_uring_sqe& sqe = ring.entry(what);
    io_uring_prep_msg_ring(&sqe, there, 0, what, 0);
    sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
    bench::checked(io_uring_submit(&ring.ring), "io_uring_enter");
  };
  trips(state, a, [&] { send(wake); });
  send(end);
}

void asio_post(benchmark::State& state) {
  asio::io_context context(1);
  auto stays = asio::make_work_guard(context);
  std::jthread thread([&] { context.run(); });
  answer a;
  trips(state, a, [&] { asio::post(context, [&a] { a.give(); }); });
  stays.reset();
}

void manual(benchmark::internal::Benchmark* b) { b->UseManualTime()->MeasureProcessCPUTime(); }

/// A trip takes as long as the idleness before it, which is not in its time: so the number of trips
/// is given.
void idle_for(const char* name, void (*function)(benchmark::State&), int workers = 0) {
  for (const auto& [idle_us, trips] : {std::pair(20, 2000), std::pair(1000, 200)}) {
    auto* const b = benchmark::RegisterBenchmark(name, function)->Iterations(trips)->Apply(manual);
    if (workers == 0)
      b->ArgName("idle_us")->Arg(idle_us);
    else
      b->ArgNames({"idle_us", "workers"})->Args({idle_us, workers});
  }
}

const bool registered = [] {
  idle_for("sched/wake_up/weft/scheduler:loop", weft_loop, 1);
  idle_for("sched/wake_up/weft/scheduler:pool", weft_pool, 1);
  idle_for("sched/wake_up/weft/scheduler:pool", weft_pool, 2);
  idle_for("sched/wake_up/eventfd_poll", eventfd_poll);
  idle_for("sched/wake_up/condition_variable", condition_variable);
  idle_for("sched/wake_up/message_ring", message_ring);
  idle_for("sched/wake_up/asio", asio_post);
  return true;
}();

}  // namespace

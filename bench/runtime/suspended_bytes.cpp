// SPDX-License-Identifier: MIT
// How much memory does a task hold that waits?
//
// Measured: a million tasks of one group, each with one int that it needs afterwards, wait for one
// event. `bytes` is the growth of the resident set from before the first until all wait, for each;
// the time is that of starting them. In a child process of its own each time: memory that has been
// freed is kept for reuse, and would count as none. Not measured: what a task's own locals take.
// Bound: a record and a frame a task: its strand and function, and its operation.
// Baselines: the least coroutine there can be, one frame with one int and a pointer to the next in
// the list of waiters; Asio's coroutines, waiting for one timer.

#include "bench/support/asio_run.hpp"
#include "bench/support/descriptors.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/event.hpp>
#include <weft/runtime/task_group.hpp>
#include <weft/runtime/yield.hpp>

#include <asio/steady_timer.hpp>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr std::size_t tasks = 1'000'000;
constexpr std::int64_t sum_of_all = std::int64_t{tasks} * (std::int64_t{tasks} - 1) / 2;

/// What a child process tells: how much its resident set grew, how long that took, whether all
/// tasks ended well.
struct finding {
  double bytes = 0;
  double seconds = 0;
  bool right = false;
};

class watch {
public:
  /// All wait.
  void stop() {
    found.bytes = resident() - before_;
    found.seconds = std::chrono::duration<double>(clock::now() - begin_).count();
  }
  finding found;

private:
  using clock = std::chrono::steady_clock;

  static double resident() {
    long all = 0;
    long in_memory = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%ld %ld", &all, &in_memory) != 2) std::abort();
    std::fclose(file);
    return static_cast<double>(in_memory) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  }

  double before_ = resident();
  clock::time_point begin_ = clock::now();
};

/// The same number of waiting tasks, by `start_all`, in a child process.
void in_a_child(benchmark::State& state, finding (*start_all)()) {
  double bytes = 0;
  for (auto _ : state) {
    int ends[2];
    bench::checked(::pipe(ends), "pipe");
    const bench::owned_fd from(ends[0]);
    bench::owned_fd to(ends[1]);
    const pid_t child = bench::checked(::fork(), "fork");
    if (child == 0) {
      const finding found = start_all();
      ::_exit(::write(to.get(), &found, sizeof found) == sizeof found ? 0 : 1);
    }
    to = bench::owned_fd();
    finding found;
    const bool told = ::read(from.get(), &found, sizeof found) == sizeof found;
    bench::checked(::waitpid(child, nullptr, 0), "waitpid");
    bench::expect(state, told && found.right, "lost a task");
    state.SetIterationTime(found.seconds);
    bytes += found.bytes / tasks;
  }
  state.counters["bytes"] = bytes / static_cast<double>(state.iterations());
  bench::per_item(state, tasks);
}

weft::task<> wait_for(weft::event& e, int number, std::size_t& waiting, std::int64_t& sum) {
  ++waiting;
  co_await e.wait();
  sum += number;
}

weft::task<> watch_weft(finding& found) {
  weft::event over;
  std::size_t waiting = 0;
  std::int64_t sum = 0;
  watch growth;
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (std::size_t i = 0; i < tasks; ++i)
      group.spawn(wait_for, std::ref(over), static_cast<int>(i), std::ref(waiting), std::ref(sum));
    while (waiting < tasks) co_await weft::yield();
    growth.stop();
    over.set();
  };
  co_await weft::with_task_group(body);
  found = growth.found;
  found.right = sum == sum_of_all;
}
finding weft_tasks() {
  finding found;
  weft::run(watch_weft(found));
  return found;
}

/// Resumed by whoever goes through the list.
struct bare_waiter {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    self = h;
    next = first;
    first = this;
  }
  void await_resume() const noexcept {}

  bare_waiter*& first;
  bare_waiter* next = nullptr;
  std::coroutine_handle<> self = {};
};

/// Runs at once, and frees itself.
struct bare_coroutine {
  struct promise_type {
    bare_coroutine get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
  };
};

bare_coroutine bare_wait(bare_waiter*& first, int number, std::int64_t& sum) {
  co_await bare_waiter{first};
  sum += number;
}

finding bare_coroutines() {
  bare_waiter* first = nullptr;
  std::int64_t sum = 0;
  watch growth;
  for (std::size_t i = 0; i < tasks; ++i) bare_wait(first, static_cast<int>(i), sum);
  growth.stop();
  while (bare_waiter* const w = first) {
    first = w->next;
    w->self.resume();
  }
  growth.found.right = sum == sum_of_all;
  return growth.found;
}

asio::awaitable<void> asio_wait(asio::steady_timer& timer, int number, std::size_t& waiting,
                                std::int64_t& sum) {
  ++waiting;
  try {
    co_await timer.async_wait(asio::use_awaitable);
  } catch (const asio::system_error&) {
    sum += number;  // cancelled: that is how all are woken
  }
}

finding asio_coroutines() {
  asio::io_context context(1);
  asio::steady_timer timer(context, std::chrono::hours(1));
  std::size_t waiting = 0;
  std::int64_t sum = 0;
  watch growth;
  for (std::size_t i = 0; i < tasks; ++i) {
    asio::co_spawn(context, asio_wait(timer, static_cast<int>(i), waiting, sum), asio::detached);
  }
  while (waiting < tasks) context.poll();
  growth.stop();
  timer.cancel();
  context.run();
  growth.found.right = sum == sum_of_all;
  return growth.found;
}

template <finding (*StartAll)()>
void measured(benchmark::State& state) {
  in_a_child(state, StartAll);
}

void one_by_one(benchmark::internal::Benchmark* b) {
  b->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
}

}  // namespace

BENCHMARK(measured<weft_tasks>)->Name("runtime/suspended_bytes/weft")->Apply(one_by_one);
BENCHMARK(measured<bare_coroutines>)
    ->Name("runtime/suspended_bytes/bare_coroutine")
    ->Apply(one_by_one);
BENCHMARK(measured<asio_coroutines>)->Name("runtime/suspended_bytes/asio")->Apply(one_by_one);

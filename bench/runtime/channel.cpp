// SPDX-License-Identifier: MIT
// What does it cost to send a number through a bounded channel (64 or 1024 slots), one to one and
// four to four, and (`channel_room`, 64) where one task fills and empties it, so that nobody waits?
//
// Measured: 100,000 numbers from the senders to the receivers, and the end of the channel;
// `per_item` is one number. Included: making and joining the tasks or threads. With one worker the
// two sides take turns, as many numbers each as there are slots; with two they may run side by
// side. Bound: each side's lock, and a trip through the ready queue whenever it is full or empty.
// Baselines: a std::deque filled and emptied 64 at a time by one thread; a bounded queue of a mutex
// and two condition variables between as many threads; Asio's (experimental) channel between
// coroutines.

#include "bench/support/asio_run.hpp"
#include "bench/support/measure.hpp"
#include <weft/runtime/channel.hpp>
#include <weft/runtime/task_group.hpp>

#include <asio/experimental/concurrent_channel.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t capacity = 64;
constexpr std::uint64_t numbers = 100'000;
constexpr std::uint64_t sum_of_all = numbers * (numbers - 1) / 2;

using sum_type = std::atomic<std::uint64_t>;

void add(sum_type& to, std::uint64_t part) {
  to.fetch_add(part, std::memory_order_relaxed);  // relaxed: read after the join
}

weft::task<> send(weft::channel_sender<std::uint64_t> to, std::uint64_t from, std::uint64_t step) {
  for (std::uint64_t i = from; i < numbers; i += step) co_await to.send(i);
}

weft::task<> receive(weft::channel_receiver<std::uint64_t> from, sum_type& to) {
  std::uint64_t sum = 0;
  for (;;) {
    const std::optional<std::uint64_t> number = co_await from.receive();
    if (!number) break;
    sum += *number;
  }
  add(to, sum);
}

weft::task<> transfer(benchmark::State& state) {
  const std::size_t pairs = bench::size(state, 0);
  for (auto _ : state) {
    sum_type sum{0};
    auto body = [&](weft::task_group& group) -> weft::task<> {
      auto ends = weft::channel<std::uint64_t>(bench::size(state, 2));
      for (std::size_t i = 0; i < pairs; ++i) {
        group.spawn(send, ends.sender, i, pairs);
        group.spawn(receive, ends.receiver, std::ref(sum));
      }
      co_return;
    };
    co_await weft::with_task_group(body);
    if (sum != sum_of_all) state.SkipWithError("lost a number");
  }
  bench::per_item(state, numbers);
}
void weft_channel(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 1)}, transfer(state));
}

/// One task that fills the channel and empties it again: nobody ever waits.
weft::task<> fill_and_empty(benchmark::State& state) {
  const auto ends = weft::channel<std::uint64_t>(capacity);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < numbers;) {
      const std::uint64_t begin = i;
      for (; i < numbers && i - begin < capacity; ++i) co_await ends.sender.send(i);
      for (std::uint64_t n = begin; n < i; ++n) {
        const std::optional<std::uint64_t> number = co_await ends.receiver.receive();
        sum += *number;
      }
    }
    if (sum != sum_of_all) state.SkipWithError("lost a number");
  }
  bench::per_item(state, numbers);
}
void with_room(benchmark::State& state) {
  weft::run({.workers = bench::workers(state, 0)}, fill_and_empty(state));
}

class blocking_queue {
public:
  explicit blocking_queue(std::size_t slots) : slots_(slots) {}
  void send(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [this] { return queue_.size() < slots_; });
    queue_.push_back(number);
    lock.unlock();
    has_number_.notify_one();
  }
  std::optional<std::uint64_t> receive() {
    std::unique_lock lock(mutex_);
    has_number_.wait(lock, [this] { return !queue_.empty() || closed_; });
    if (queue_.empty()) return std::nullopt;
    const std::uint64_t number = queue_.front();
    queue_.pop_front();
    lock.unlock();
    has_room_.notify_one();
    return number;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    has_number_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable has_room_;
  std::condition_variable has_number_;
  std::deque<std::uint64_t> queue_;
  const std::size_t slots_;
  bool closed_ = false;
};

void mutex_condvar(benchmark::State& state) {
  const std::size_t pairs = bench::size(state, 0);
  for (auto _ : state) {
    sum_type sum{0};
    blocking_queue queue(bench::size(state, 1));
    std::vector<std::jthread> receivers;
    std::vector<std::jthread> senders;
    for (std::size_t i = 0; i < pairs; ++i) {
      senders.emplace_back([&queue, i, pairs] {
        for (std::uint64_t n = i; n < numbers; n += pairs) queue.send(n);
      });
      receivers.emplace_back([&] {
        std::uint64_t part = 0;
        while (const auto number = queue.receive()) part += *number;
        add(sum, part);
      });
    }
    senders.clear();
    queue.close();
    receivers.clear();
    if (sum != sum_of_all) state.SkipWithError("lost a number");
  }
  bench::per_item(state, numbers);
}

using asio_channel = asio::experimental::concurrent_channel<void(asio::error_code, std::uint64_t)>;

asio::awaitable<void> asio_send(asio_channel& to, std::uint64_t from, std::uint64_t step) {
  for (std::uint64_t i = from; i < numbers; i += step)
    co_await to.async_send(asio::error_code{}, i, asio::use_awaitable);
}
asio::awaitable<void> asio_receive(asio_channel& from, std::uint64_t count, sum_type& to) {
  std::uint64_t sum = 0;
  for (; count > 0; --count) sum += co_await from.async_receive(asio::use_awaitable);
  add(to, sum);
}

void asio_coroutines(benchmark::State& state) {
  const std::size_t pairs = bench::size(state, 0);
  for (auto _ : state) {
    sum_type sum{0};
    asio::io_context context(static_cast<int>(state.range(1)));
    asio_channel channel(context, bench::size(state, 2));
    for (std::size_t i = 0; i < pairs; ++i) {
      asio::co_spawn(context, asio_send(channel, i, pairs), asio::detached);
      asio::co_spawn(context, asio_receive(channel, numbers / pairs, sum), asio::detached);
    }
    bench::run_on_threads(context, bench::size(state, 1));
    if (sum != sum_of_all) state.SkipWithError("lost a number");
  }
  bench::per_item(state, numbers);
}

void std_deque(benchmark::State& state) {
  for (auto _ : state) {
    std::uint64_t sum = 0;
    std::deque<std::uint64_t> queue;
    for (std::uint64_t i = 0; i < numbers;) {
      for (; i < numbers && queue.size() < capacity; ++i) queue.push_back(i);
      for (; !queue.empty(); queue.pop_front()) sum += queue.front();
    }
    if (sum != sum_of_all) state.SkipWithError("lost a number");
  }
  bench::per_item(state, numbers);
}

}  // namespace

BENCHMARK(weft_channel)
    ->Name("runtime/channel/weft")
    ->ArgNames({"pairs", "workers", "slots"})
    ->ArgsProduct({{1, 4}, {1, 2}, {64, 1024}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(with_room)
    ->Name("runtime/channel_room/weft")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(std_deque)
    ->Name("runtime/channel_room/std_deque")
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(asio_coroutines)
    ->Name("runtime/channel/asio")
    ->ArgNames({"pairs", "workers", "slots"})
    ->ArgsProduct({{1, 4}, {1, 2}, {1024}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(mutex_condvar)
    ->Name("runtime/channel/mutex_condvar")
    ->ArgNames({"pairs", "slots"})
    ->ArgsProduct({{1, 4}, {64, 1024}})
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);
BENCHMARK(std_deque)
    ->Name("runtime/channel/std_deque")
    ->Unit(benchmark::kMicrosecond)
    ->Apply(bench::wall_clock);

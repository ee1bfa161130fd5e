// SPDX-License-Identifier: MIT
// A computation that keeps every worker busy keeps nobody from a turn. Whoever computes here has
// work for seconds, and leaves out the rest of it once the task beside it has made its steps: so a
// test fails when the computation comes to its end before they are made.
#include "support/both_schedulers.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/parallel_for.hpp"
#include "weft/sched/parallel_reduce.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

namespace fairness_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

class steps {
public:
  void make_one() noexcept { ++made_; }
  bool are_made() const noexcept { return made_.load() >= 5; }

private:
  std::atomic<int> made_{0};
};

// --- Who computes -----------------------------------------------------------------------------

int spin_unless(const steps& other) {
  if (other.are_made()) return 0;
  const auto end = std::chrono::steady_clock::now() + 1us;
  while (std::chrono::steady_clock::now() < end) {}
  return 1;
}

task<> loop(const steps& other) {
  co_await parallel_for(0, 2'000'000, [&](int) { spin_unless(other); });
}

task<> sum(const steps& other) {
  co_await parallel_reduce(0, 2'000'000, 0, [&](int) { return spin_unless(other); }, std::plus<>());
}

task<int> fib(int n) {
  if (n < 2) co_return n;
  const auto [x, y] = co_await when_all(fib(n - 1), fib(n - 2));
  co_return x + y;
}
task<> forks(const steps& other) {
  for (int round = 0; round < 50'000 && !other.are_made(); ++round) co_await fib(16);
}

// --- Who waits --------------------------------------------------------------------------------

task<> sleeper(steps& mine) {
  while (!mine.are_made()) {
    co_await sleep_for(1ms);
    mine.make_one();
  }
}

task<> echo(tcp_listener& listener) {
  tcp_stream stream = co_await listener.accept();
  std::array<std::byte, 16> bytes{};
  for (;;) {
    const std::size_t received = co_await stream.read(bytes);
    if (received == 0) break;
    co_await stream.write_all({bytes.data(), received});
  }
}

task<> echoed(steps& mine) {
  auto listener = tcp_listener::bind("127.0.0.1:0");
  auto ask = [&]() -> task<> {
    tcp_stream stream = co_await tcp_stream::connect(listener.local_endpoint());
    std::array<std::byte, 16> bytes{};
    while (!mine.are_made()) {
      co_await stream.write_all(bytes);
      co_await stream.read_exact(bytes);
      mine.make_one();
    }
  };
  co_await when_all(echo(listener), ask());
}

/// One of those that wait beside as many that compute as there are workers.
template <class Waiting, class Computing>
void check(Waiting waiting, Computing computing) {
  on_both([&](const run_options& options) {
    bool in_time = false;
    auto main = [&]() -> task<> {
      steps made;
      auto body = [&](task_group& g) -> task<> {
        g.spawn(waiting, std::ref(made));
        co_await when_all(computing(made), computing(made));
        in_time = made.are_made();
      };
      co_await with_task_group(body);
    };
    run(options, main());
    CHECK(in_time);
  });
}

}  // namespace

TEST_SUITE("sched/fairness") {
  TEST_CASE("a timer is served beside loops that keep all workers busy") { check(sleeper, loop); }
  TEST_CASE("a timer is served beside reductions that keep all workers busy") {
    check(sleeper, sum);
  }
  TEST_CASE("a timer is served beside forks that keep all workers busy") { check(sleeper, forks); }
  TEST_CASE("a connection is served beside loops that keep all workers busy") {
    check(echoed, loop);
  }
  TEST_CASE("a connection is served beside reductions that keep all workers busy") {
    check(echoed, sum);
  }
  TEST_CASE("a connection is served beside forks that keep all workers busy") {
    check(echoed, forks);
  }
}

}  // namespace fairness_test

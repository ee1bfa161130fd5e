// SPDX-License-Identifier: MIT
#include "support/both_schedulers.hpp"
#include "support/test_kernel.hpp"
#include "support/without_system_calls.hpp"
#include "weft/io/file.hpp"
#include "weft/io/serve.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/sched/run.hpp"
#include "weft/sched/thread_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace virtual_time_test {

using namespace weft;
using namespace std::chrono_literals;
using weft::tests::nothing_left_behind;
using weft::tests::run_without_system_calls;
using weft::tests::test_kernel;

namespace {

constexpr std::chrono::nanoseconds year = 365 * 24h;

std::chrono::nanoseconds now() { return std::chrono::nanoseconds(current_kernel().now()); }

// A sequence that is the same in every run.
class numbers {
public:
  std::uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 33;
  }

private:
  std::uint64_t state_ = 1;
};

struct wakeups {
  std::vector<std::chrono::nanoseconds> at{};
  int inexact = 0;
};

task<> sleeper(std::chrono::nanoseconds d, wakeups& log) {
  const std::chrono::nanoseconds due = now() + d;
  co_await sleep_for(d);
  const std::chrono::nanoseconds woken = now();
  if (woken != due) ++log.inexact;
  log.at.push_back(woken);
}

bool sleepers_wake_in_order(std::size_t count) {
  test_kernel k;
  k.alone = true;
  wakeups log;
  log.at.reserve(count);
  auto body = [&](task_group& group) -> task<> {
    numbers random;
    for (std::size_t i = 0; i < count; ++i) {
      const std::chrono::nanoseconds d(static_cast<std::int64_t>(
          random.next() % static_cast<std::uint64_t>(year.count() / 1'000'000) * 1'000'000));
      (void)group.spawn(sleeper, d, std::ref(log));
    }
    co_return;
  };
  run({.kernel = &k}, with_task_group(body));
  return log.at.size() == count && log.inexact == 0 && std::is_sorted(log.at.begin(), log.at.end());
}

bool a_year_passes() {
  test_kernel k;
  k.alone = true;
  auto main = []() -> task<> { co_await sleep_for(year); };
  run({.kernel = &k}, main());
  return k.now() == test_kernel::first_instant + year.count();
}

bool sleepers_are_cancelled() {
  test_kernel k;
  k.alone = true;
  int cancelled_ones = 0;
  auto child = [&]() -> task<> {
    auto sleeping = as_result(sleep_for(year));
    const result<void> r = co_await sleeping;
    if (!r) ++cancelled_ones;
  };
  auto body = [&](task_group& group) -> task<> {
    group.spawn_n(1000, child);
    co_await sleep_for(1s);
    group.cancel();
  };
  run({.kernel = &k}, with_task_group(body));
  return cancelled_ones == 1000 && k.now() == test_kernel::first_instant + 1'000'000'000;
}

task<std::string> copied_file() {
  task<file> making = file::open("copy", open_mode::read | open_mode::write | open_mode::create);
  file to = co_await std::move(making);
  task<file> opening = file::open("original");
  file from = co_await std::move(opening);
  task<std::string> reading = from.read_all();
  const std::string all = co_await std::move(reading);
  co_await to.write_all_at(0, all);
  co_await to.sync();
  task<std::uint64_t> sizing = to.size();
  const std::uint64_t size = co_await std::move(sizing);
  std::string back(size, '\0');
  co_await to.read_exact_at(0, back);
  co_await from.close();
  co_await to.close();
  co_return back;
}

bool a_file_is_copied() {
  test_kernel k;
  k.alone = true;
  k.world.transfer_max = 1000;  // short reads and writes
  k.on_entry = [](const io_uring_sqe&) -> test_kernel::entry_plan {
    return {.delay_ns = 8'000'000};
  };
  const std::string text(12'345, 'w');
  k.world.files["original"] = std::make_shared<std::string>(text);
  const std::string back = run({.kernel = &k}, copied_file());
  return back == text && *k.world.files.at("copy") == text && k.world.open_descriptors() == 0;
}

task<> echo(tcp_stream stream) {
  char buffer[512];
  while (const std::size_t n = co_await stream.read(buffer)) {
    co_await sleep_for(20ms);
    co_await stream.write_all({buffer, n});
  }
}

task<> ask(endpoint server, int& answers) {
  task<tcp_stream> connecting = tcp_stream::connect(server);
  tcp_stream stream = co_await std::move(connecting);
  const std::string question = "what time is it?";
  std::string answer(question.size(), '\0');
  co_await stream.write_all(question);
  co_await stream.read_exact(answer);
  if (answer == question) ++answers;
}

bool requests_wait_at_the_same_time() {
  test_kernel k;
  k.alone = true;
  int answers = 0;
  auto main = [&]() -> task<> {
    tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
    const endpoint server = listener.local_endpoint();
    auto clients = [&](task_group& all) -> task<> {
      for (int i = 0; i < 200; ++i) (void)all.spawn(ask, server, std::ref(answers));
      co_return;
    };
    auto serving = [&]() -> task<> { co_await serve(listener, echo); };
    auto body = [&](task_group& group) -> task<> {
      (void)group.spawn(serving);
      co_await with_task_group(clients);
      group.cancel();
    };
    co_await with_task_group(body);
  };
  run({.kernel = &k}, main());
  return answers == 200 && k.now() == test_kernel::first_instant + 20'000'000 &&
         k.world.open_descriptors() == 0;
}

bool a_real_ring_is_opened() {
  auto main = []() -> task<> { co_return; };
  run(main());
  return true;
}

void check_without_system_calls(bool (*body)()) {
  const tests::child_outcome outcome = run_without_system_calls(body);
  CHECK(outcome.succeeded);
  CHECK(outcome.system_call == -1);
}

}  // namespace

TEST_SUITE("sched/virtual_time") {
  TEST_CASE("what makes a system call is found out") {
    const tests::child_outcome outcome = run_without_system_calls(a_real_ring_is_opened);
    CHECK_FALSE(outcome.succeeded);
    CHECK(outcome.system_call >= 0);
  }

  TEST_CASE("a virtual year passes without waiting and without a system call") {
    check_without_system_calls(a_year_passes);
  }

  TEST_CASE("sleepers wake exactly on time and in order without a system call") {
    check_without_system_calls([] { return sleepers_wake_in_order(1000); });
  }

  TEST_CASE("100,000 sleepers wake on time over a virtual year") {
    const nothing_left_behind guard;
    CHECK(sleepers_wake_in_order(100'000));
  }

  TEST_CASE("sleepers are cancelled at once without a system call") {
    check_without_system_calls(sleepers_are_cancelled);
  }

  TEST_CASE("files in memory are read and written without a system call") {
    check_without_system_calls(a_file_is_copied);
    CHECK(a_file_is_copied());
  }

  TEST_CASE("two hundred requests of 20 ms take 20 ms without a system call") {
    check_without_system_calls(requests_wait_at_the_same_time);
    CHECK(requests_wait_at_the_same_time());
  }

  TEST_CASE("sleepers of a pool wake exactly on time") {
    const nothing_left_behind guard;
    test_kernel k;
    std::atomic<int> inexact{0};
    std::atomic<int> ended{0};
    auto child = [&](std::chrono::nanoseconds d) -> task<> {
      for (int i = 0; i < 20; ++i) {
        const std::chrono::nanoseconds due = now() + d;
        co_await sleep_for(d);
        if (now() != due) ++inexact;
      }
      ++ended;
    };
    auto body = [&](task_group& group) -> task<> {
      numbers random;
      for (int i = 0; i < 200; ++i)
        (void)group.spawn(child, std::chrono::milliseconds(random.next() % 1'000'000 + 1));
      co_return;
    };
    run({.workers = 2, .kernel = &k}, with_task_group(body));
    CHECK(ended == 200);
    CHECK(inexact == 0);
  }

  TEST_CASE("a deadline on a pool is kept while a thread that wakes a worker is held up") {
    const nothing_left_behind guard;
    test_kernel k;
    std::atomic<std::thread::id> waker{};
    std::atomic<bool> begun{false};
    std::atomic<bool> held_up{false};
    std::atomic<bool> goes_on{false};
    k.on_doorbell = [&] {
      if (std::this_thread::get_id() != waker.load()) return;
      held_up = true;
      goes_on.wait(false);
    };
    std::chrono::nanoseconds waited{0};
    std::error_code error;
    {
      thread_pool pool({.workers = 2, .kernel = &k});
      std::thread other([&] {
        waker = std::this_thread::get_id();
        begun.wait(false);
        for (; !held_up; std::this_thread::sleep_for(100us)) pool.post([] {});
      });
      pool.run([&]() -> task<> {
        begun = true;
        begun.notify_all();
        while (!held_up) std::this_thread::yield();
        const std::chrono::nanoseconds start = now();
        error = (co_await as_result(with_timeout(1ms, sleep_for(1h)))).error();
        waited = now() - start;
        goes_on = true;
        goes_on.notify_all();
      }());
      other.join();
    }
    CHECK(error == std::errc::timed_out);
    CHECK(waited == 1ms);
  }

  TEST_CASE("two runs under the same kernel do the same things in the same order") {
    const auto once = [] {
      test_kernel k;
      wakeups log;
      auto body = [&](task_group& group) -> task<> {
        numbers random;
        for (int i = 0; i < 500; ++i)
          (void)group.spawn(sleeper, std::chrono::milliseconds(random.next() % 50), std::ref(log));
        co_return;
      };
      run({.kernel = &k}, with_task_group(body));
      return std::pair(log.at, k.enters);
    };
    CHECK(once() == once());
  }
}

}  // namespace virtual_time_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/interval.hpp"

#include "support/both_schedulers.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace interval_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::nothing_left_behind;
using tests::test_kernel;

namespace {

std::chrono::nanoseconds now() { return std::chrono::nanoseconds(current_kernel().now()); }

using ticks = std::vector<std::pair<std::uint64_t, std::chrono::nanoseconds>>;

/// Each tick with its number and its time after the start; the n-th is followed by work[n].
ticks ticks_of(unsigned workers, std::vector<std::chrono::nanoseconds> work) {
  const nothing_left_behind guard;
  test_kernel k;
  ticks got;
  auto main = [&]() -> task<> {
    interval tick(10ms);
    co_await sleep_for(3ms);  // the schedule begins with the first next()
    const std::chrono::nanoseconds start = now();
    for (const std::chrono::nanoseconds each : work) {
      const std::uint64_t number = co_await tick.next();
      got.emplace_back(number, now() - start);
      if (each > 0ns) co_await sleep_for(each);
    }
  };
  run({.workers = workers, .kernel = &k}, main());
  return got;
}

}  // namespace

TEST_SUITE("runtime/interval") {
  TEST_CASE("ticks come on schedule however long the work between them takes") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      CHECK(ticks_of(workers, {0ms, 4ms, 9ms, 1ms, 0ms}) ==
            ticks{{1, 10ms}, {2, 20ms}, {3, 30ms}, {4, 40ms}, {5, 50ms}});
    }
  }

  TEST_CASE("missed ticks are skipped: one comes at once, and then the schedule goes on") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      CHECK(ticks_of(workers, {35ms, 0ms, 10ms, 0ms, 0ms}) ==
            ticks{{1, 10ms}, {4, 45ms}, {5, 50ms}, {6, 60ms}, {7, 70ms}});
    }
  }

  TEST_CASE("a million periods later a tick is where it belongs") {
    test_kernel k;
    std::chrono::nanoseconds late{};
    auto main = [&]() -> task<> {
      interval tick(1.0s / 3);  // 333,333,334 ns
      const std::chrono::nanoseconds start = now();
      co_await tick.next();
      co_await sleep_for(1'000'000 * 333'333'334ns - 1ns);
      const std::uint64_t million_and_one = co_await tick.next();
      CHECK(million_and_one == 1'000'000);
      const std::uint64_t next = co_await tick.next();
      CHECK(next == 1'000'001);
      late = now() - start - 1'000'001 * 333'333'334ns;
    };
    run({.kernel = &k}, main());
    CHECK(late == 0ns);
  }

  TEST_CASE("a cancelled wait leaves its tick to the next one") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const nothing_left_behind guard;
      test_kernel k;
      auto main = [&]() -> task<> {
        interval tick(10ms);
        const std::chrono::nanoseconds start = now();
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            co_await sleep_for(5ms);
            g.cancel();
          });
          const result<std::uint64_t> r = co_await as_result(tick.next());
          CHECK(r.error() == cancelled_code());
        };
        co_await with_task_group(body);
        CHECK(now() - start == 5ms);
        const std::uint64_t number = co_await tick.next();
        CHECK(number == 1);
        CHECK(now() - start == 10ms);
      };
      run({.workers = workers, .kernel = &k}, main());
    }
  }

  TEST_CASE("a reset interval begins a new schedule") {
    test_kernel k;
    auto main = [&]() -> task<> {
      interval tick(10ms);
      co_await tick.next();
      co_await sleep_for(7ms);
      tick.reset();
      const std::chrono::nanoseconds start = now();
      const std::uint64_t number = co_await tick.next();
      CHECK(number == 1);
      CHECK(now() - start == 10ms);
    };
    run({.kernel = &k}, main());
  }

  TEST_CASE("a period longer than the clock goes never ticks, and can be cancelled") {
    test_kernel k;
    auto main = [&]() -> task<> {
      interval tick(std::chrono::hours::max());
      auto body = [&](task_group& g) -> task<> {
        g.spawn([&]() -> task<> {
          co_await sleep_for(24h * 365);
          g.cancel();
        });
        const result<std::uint64_t> r = co_await as_result(tick.next());
        CHECK_FALSE(r);
      };
      co_await with_task_group(body);
    };
    run({.kernel = &k}, main());
  }

  TEST_CASE("a period that is not positive is refused") {
    std::error_code thrown;
    try {
      const interval tick(0ms);
    } catch (const std::system_error& e) {
      thrown = e.code();
    }
    CHECK(thrown == std::errc::invalid_argument);
  }

  TEST_CASE("on the real clock no tick is early") {
    tests::on_both([](const run_options& options) {
      int early = 0;
      run(options, [](int& n) -> task<> {
        interval tick(200us);
        const std::chrono::nanoseconds start = now();
        for (int i = 0; i < 20; ++i) {
          const std::uint64_t number = co_await tick.next();
          if (now() - start < number * 200us) ++n;
        }
      }(early));
      CHECK(early == 0);
    });
  }
}

}  // namespace interval_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/unbounded_channel.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace unbounded_channel_test {

using namespace weft;
using tests::counted;
using tests::on_both;

TEST_SUITE("runtime/unbounded_channel") {
  TEST_CASE("any number of values go in without a receiver, and come out in order") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = unbounded_channel<std::unique_ptr<int>>();
        for (int i = 0; i < 1000; ++i) CHECK(tx.send(std::make_unique<int>(i)));
        tx.close();
        auto late = std::make_unique<int>(5);
        CHECK_FALSE(tx.send(std::move(late)));
        CHECK(late != nullptr);
        for (int i = 0; i < 1000; ++i) {
          const std::optional<std::unique_ptr<int>> p = co_await rx.receive();
          REQUIRE(p.has_value());
          CHECK(**p == i);
        }
        const std::optional<std::unique_ptr<int>> end = co_await rx.receive();
        CHECK_FALSE(end.has_value());
      }());
    });
  }

  TEST_CASE("many plain threads send to many tasks, and nothing is lost or doubled") {
    on_both([](const run_options& options) {
      auto ends = unbounded_channel<int>();
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([tx = ends.sender, t] {
          for (int i = 0; i < 1000; ++i) tx.send(t * 1000 + i);
        });
      }
      { const unbounded_sender<int> last = std::move(ends.sender); }
      std::atomic<long> sum = 0;
      std::atomic<int> count = 0;
      auto receive = [&]() -> task<> {
        for (;;) {
          const std::optional<int> n = co_await ends.receiver.receive();
          if (!n) break;
          sum += *n;
          ++count;
        }
      };
      auto all = [&](task_group& g) -> task<> {
        g.spawn_n(4, receive);
        co_return;
      };
      run(options, tests::from_outside(with_task_group(all)));
      for (std::thread& t : threads) t.join();
      CHECK(count == 3000);
      CHECK(sum == 2999L * 3000 / 2);
    });
  }

  TEST_CASE("a stop that races with a value delivers it now or leaves it there") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          auto ends = unbounded_channel<int>();
          std::atomic<int> got = 0;
          auto body = [&](task_group& g) -> task<> {
            g.spawn([&]() -> task<> {
              const result<std::optional<int>> r = co_await as_result(ends.receiver.receive());
              if (r) got = r->value_or(0);
            });
            for (int i = 0; i < round % 4; ++i) co_await yield();
            g.spawn([&]() -> task<> {
              ends.sender.send(1);
              co_return;
            });
            for (int i = 0; i < round / 4 % 4; ++i) co_await yield();
            g.cancel();
          };
          co_await with_task_group(body);
          got += ends.receiver.try_receive().value_or(0);
          CHECK(got == 1);
        }
      }());
    });
  }

  TEST_CASE("values that are left in it are destroyed with it") {
    {
      auto [tx, rx] = unbounded_channel<counted>();
      const counted original(1);
      tx.send(original);
      tx.send(counted(2));
      CHECK(rx.try_receive()->number == 1);
      CHECK(counted::alive() == 2);
    }
    CHECK(counted::alive() == 0);
  }
}

}  // namespace unbounded_channel_test

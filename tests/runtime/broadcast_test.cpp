// SPDX-License-Identifier: MIT
#include "weft/runtime/broadcast.hpp"

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
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace broadcast_test {

using namespace weft;
using tests::counted;
using tests::on_both;

namespace {

task<> send_numbers(broadcast_sender<int> sender, int begin, int end) {
  const broadcast_sender<int> tx = std::move(sender);
  for (int i = begin; i < end; ++i) co_await tx.send(i);
}

task<> collect(broadcast_receiver<int> receiver, std::vector<int>& out) {
  broadcast_receiver<int> rx = std::move(receiver);
  for (;;) {
    const std::optional<int> n = co_await rx.receive();
    if (!n) break;
    out.push_back(*n);
    if (*n % 7 == 0) co_await yield();
  }
}

std::vector<int> numbers(int begin, int end) {
  std::vector<int> all(static_cast<std::size_t>(end - begin));
  std::iota(all.begin(), all.end(), begin);
  return all;
}

struct throwing_copy {
  explicit throwing_copy(int n) noexcept : number(n) {}
  throwing_copy(const throwing_copy& other) : number(other.number) {
    if (fails) throw std::runtime_error("no copy");
  }
  throwing_copy(throwing_copy&&) noexcept = default;

  int number;
  static inline bool fails = false;
};

}  // namespace

TEST_SUITE("runtime/broadcast") {
  TEST_CASE("every receiver sees every value in order") {
    for (const std::size_t capacity : {1u, 3u, 100u}) {
      CAPTURE(capacity);
      const auto body = [capacity](const run_options& options) {
        std::vector<std::vector<int>> got(4);
        run(options, [](std::size_t size, std::vector<std::vector<int>>& out) -> task<> {
          auto all = [&](task_group& g) -> task<> {
            auto ends = broadcast<int>(size);
            for (std::size_t i = 1; i < 4; ++i)
              g.spawn(collect, ends.sender.subscribe(), std::ref(out[i]));
            g.spawn(collect, std::move(ends.receiver), std::ref(out[0]));
            g.spawn(send_numbers, std::move(ends.sender), 0, 300);
            co_return;
          };
          co_await with_task_group(all);
        }(capacity, got));
        for (const std::vector<int>& each : got) CHECK(each == numbers(0, 300));
      };
      on_both(body);
      body({.workers = 4});
    }
  }

  TEST_CASE("a receiver sees what is sent after it subscribed") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = broadcast<int>(4);
        CHECK(tx.try_send(1));
        auto late = tx.subscribe();
        CHECK(tx.try_send(2));
        tx.close();
        const std::optional<int> one = co_await rx.receive();
        const std::optional<int> two = co_await late.receive();
        CHECK(one == 1);
        CHECK(two == 2);
        CHECK(rx.try_receive() == 2);
        const std::optional<int> end = co_await rx.receive();
        CHECK_FALSE(end.has_value());
        CHECK_FALSE(late.try_receive().has_value());
      }());
    });
  }

  TEST_CASE("the sender waits for the slowest receiver") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, slow] = broadcast<int>(2);
        auto fast = tx.subscribe();
        CHECK(tx.try_send(1));
        CHECK(tx.try_send(2));
        CHECK(fast.try_receive() == 1);
        CHECK(fast.try_receive() == 2);
        int three = 3;
        CHECK_FALSE(tx.try_send(three));
        std::atomic<bool> sent = false;
        auto body = [&sent, &fast, &slow, tx](task_group& g) -> task<> {
          g.spawn(
              [](broadcast_sender<int> t, std::atomic<bool>& flag) -> task<> {
                co_await t.send(3);
                flag = true;
              },
              tx, std::ref(sent));
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK_FALSE(sent);
          CHECK(slow.try_receive() == 1);
          const std::optional<int> n = co_await fast.receive();
          CHECK(n == 3);
        };
        co_await with_task_group(body);
        CHECK(sent);
        CHECK(slow.try_receive() == 2);
        CHECK(slow.try_receive() == 3);
      }());
    });
  }

  TEST_CASE("a receiver that goes is waited for no more") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = broadcast<int>(1);
        std::optional<broadcast_receiver<int>> idle(std::move(ends.receiver));
        auto rx = ends.sender.subscribe();
        CHECK(ends.sender.try_send(1));
        CHECK(rx.try_receive() == 1);
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> { co_await ends.sender.send(2); });
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK_FALSE(rx.try_receive().has_value());
          idle.reset();
          const std::optional<int> n = co_await rx.receive();
          CHECK(n == 2);
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("with no receiver left all who wait to send go on, and nothing is kept") {
    {
      auto ends = broadcast<counted>(1);
      run([](broadcast_ends<counted>& e) -> task<> {
        std::optional<broadcast_receiver<counted>> rx(std::move(e.receiver));
        co_await e.sender.send(counted(1));
        auto body = [&](task_group& g) -> task<> {
          for (int i = 2; i < 5; ++i) {
            g.spawn(
                [](broadcast_sender<counted> tx, int n) -> task<> { co_await tx.send(counted(n)); },
                e.sender, i);
          }
          co_await yield();
          rx.reset();
        };
        co_await with_task_group(body);
        co_await e.sender.send(counted(5));
      }(ends));
      CHECK(counted::alive() == 0);
    }
    {
      auto left = broadcast<counted>(3);
      auto other = left.sender.subscribe();
      CHECK(left.sender.try_send(counted(1)));
      CHECK(left.sender.try_send(counted(2)));
      CHECK(other.try_receive()->number == 1);
      CHECK(counted::alive() == 2);
    }
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("the last receiver of a value gets the original, the others get copies") {
    auto ends = broadcast<std::shared_ptr<int>>(2);
    auto other = ends.sender.subscribe();
    CHECK(ends.sender.try_send(std::make_shared<int>(1)));
    auto first = ends.receiver.try_receive();
    CHECK(first->use_count() == 2);
    auto second = other.try_receive();
    CHECK(first->use_count() == 2);
    CHECK(*second == *first);
  }

  TEST_CASE("sending to a closed broadcast fails with broken_pipe and leaves the value alone") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = broadcast<std::string>(1);
        CHECK(ends.sender.try_send("fills it"));
        std::string waiting = "a value that waits to be sent and comes back";
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            const result<void> r = co_await as_result(ends.sender.send(std::move(waiting)));
            CHECK(r.error() == std::errc::broken_pipe);
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          ends.sender.close();
        };
        co_await with_task_group(body);
        CHECK(waiting == "a value that waits to be sent and comes back");
        const result<void> r = co_await as_result(ends.sender.send(std::move(waiting)));
        CHECK(r.error() == std::errc::broken_pipe);
        CHECK(waiting == "a value that waits to be sent and comes back");
        CHECK_FALSE(ends.sender.try_send("late"));
      }());
    });
  }

  TEST_CASE("a stop that races with a value loses it neither on its way in nor on its way out") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          auto ends = broadcast<int>(1);
          auto& rx = ends.receiver;
          std::atomic<int> sent = 0;
          std::atomic<int> received = 0;
          auto body = [&](task_group& g) -> task<> {
            g.spawn([&]() -> task<> {
              for (int i = 0; i < 3; ++i) {
                const result<std::optional<int>> r = co_await as_result(rx.receive());
                if (r) received += **r;
              }
            });
            g.spawn([&]() -> task<> {
              for (int i = 0; i < 3; ++i) {
                const result<void> r = co_await as_result(ends.sender.send(1));
                if (r) ++sent;
              }
            });
            for (int i = 0; i < round % 5; ++i) co_await yield();
            g.cancel();
          };
          co_await with_task_group(body);
          received += rx.try_receive().value_or(0);
          CHECK(received == sent);
        }
      }());
    });
  }

  TEST_CASE("a copy that throws takes nothing") {
    run([]() -> task<> {
      auto [tx, rx] = broadcast<throwing_copy>(1);
      auto other = tx.subscribe();
      CHECK(tx.try_send(throwing_copy(5)));
      bool thrown = false;
      throwing_copy::fails = true;
      try {
        (void)co_await rx.receive();
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      throwing_copy::fails = false;
      CHECK(thrown);
      const std::optional<throwing_copy> again = co_await rx.receive();
      CHECK(again->number == 5);
      CHECK(other.try_receive()->number == 5);
    }());
  }

  TEST_CASE("a broadcast joins a loop and a pool") {
    auto ends = broadcast<int>(8);
    std::vector<int> here;
    std::vector<int> there;
    auto rx = ends.sender.subscribe();
    std::thread other([&there, r = std::move(rx)]() mutable {
      run({.workers = 2}, tests::from_outside(collect(std::move(r), there)));
    });
    auto both = [&](task_group& g) -> task<> {
      g.spawn(collect, std::move(ends.receiver), std::ref(here));
      g.spawn(send_numbers, std::move(ends.sender), 0, 2000);
      co_return;
    };
    run(tests::from_outside(with_task_group(both)));
    other.join();
    CHECK(here == numbers(0, 2000));
    CHECK(there == numbers(0, 2000));
  }

  TEST_CASE("a capacity of zero is refused") {
    std::error_code thrown;
    try {
      (void)broadcast<int>(0);
    } catch (const std::system_error& e) {
      thrown = e.code();
    }
    CHECK(thrown == std::errc::invalid_argument);
  }
}

}  // namespace broadcast_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/channel.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/from_outside.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace channel_test {

using namespace weft;
using tests::counted;
using tests::on_both;

namespace {

/// The sender is a local, so that it goes when the coroutine ends: a parameter would stay until the
/// frame goes.
task<> send_numbers(channel_sender<int> sender, int begin, int end) {
  const channel_sender<int> tx = std::move(sender);
  for (int i = begin; i < end; ++i) {
    co_await tx.send(i);
  }
}

task<> add_all(channel_receiver<int> rx, std::atomic<long>& sum, std::atomic<int>& count) {
  while (const std::optional<int> n = co_await rx.receive()) {
    sum += *n;
    ++count;
  }
}

}  // namespace

TEST_SUITE("runtime/channel") {
  TEST_CASE("values come out in the order in which they went in") {
    for (const std::size_t capacity : {0u, 1u, 3u, 100u}) {
      CAPTURE(capacity);
      on_both([capacity](const run_options& options) {
        std::vector<int> got;
        run(options, [](std::size_t size, std::vector<int>& out) -> task<> {
          auto [tx, rx] = channel<int>(size);
          auto receive = [](channel_receiver<int> r, std::vector<int>& o) -> task<> {
            while (const std::optional<int> n = co_await r.receive()) {
              o.push_back(*n);
            }
          };
          co_await when_all(send_numbers(std::move(tx), 0, 50), receive(std::move(rx), out));
        }(capacity, got));
        REQUIRE(got.size() == 50);
        for (int i = 0; i < 50; ++i) {
          CHECK(got[static_cast<std::size_t>(i)] == i);
        }
      });
    }
  }

  TEST_CASE("many senders and receivers lose and double nothing") {
    for (const std::size_t capacity : {0u, 4u}) {
      CAPTURE(capacity);
      const run_options four{.workers = 4};
      const auto body = [capacity](const run_options& options) {
        std::atomic<long> sum = 0;
        std::atomic<int> count = 0;
        run(options, [](std::size_t size, std::atomic<long>& s, std::atomic<int>& n) -> task<> {
          auto group = [&](task_group& g) -> task<> {
            auto [tx, rx] = channel<int>(size);
            for (int i = 0; i < 4; ++i) {
              g.spawn(send_numbers, tx, i * 1000, (i + 1) * 1000);
              g.spawn(add_all, rx, std::ref(s), std::ref(n));
            }
            co_return;
          };
          co_await with_task_group(group);
        }(capacity, sum, count));
        CHECK(count == 4000);
        CHECK(sum == 3999L * 4000 / 2);
      };
      on_both(body);
      body(four);
    }
  }

  TEST_CASE("without capacity a sender waits until its value is taken") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<int>(0);
        CHECK_FALSE(tx.try_send(1));
        CHECK_FALSE(rx.try_receive().has_value());
        std::atomic<bool> sent = false;
        auto body = [&sent, tx, rx](task_group& g) -> task<> {
          g.spawn(
              [](channel_sender<int> t, std::atomic<bool>& flag) -> task<> {
                co_await t.send(5);
                flag = true;
              },
              tx, std::ref(sent));
          for (int i = 0; i < 10; ++i) {
            co_await yield();
          }
          CHECK_FALSE(sent);
          const std::optional<int> n = co_await rx.receive();
          CHECK(n == 5);
        };
        co_await with_task_group(body);
        CHECK(sent);
      }());
    });
  }

  TEST_CASE("a closed channel gives what is left in it, then nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<int>(3);
        CHECK(tx.try_send(1));
        CHECK(tx.try_send(2));
        tx.close();
        CHECK_FALSE(tx.try_send(3));
        const std::optional<int> a = co_await rx.receive();
        const std::optional<int> b = co_await rx.receive();
        const std::optional<int> c = co_await rx.receive();
        const std::optional<int> d = co_await rx.receive();
        CHECK(a == 1);
        CHECK(b == 2);
        CHECK_FALSE(c.has_value());
        CHECK_FALSE(d.has_value());
      }());
    });
  }

  TEST_CASE("sending to a closed channel fails with broken_pipe and leaves the value alone") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<std::unique_ptr<int>>(3);
        rx.close();
        auto value = std::make_unique<int>(4);
        const result<void> r = co_await as_result(tx.send(std::move(value)));
        CHECK(r.error() == std::errc::broken_pipe);
        REQUIRE(value != nullptr);
        CHECK(*value == 4);
        std::error_code thrown;
        try {
          co_await tx.send(std::move(value));
        } catch (const std::system_error& e) {
          thrown = e.code();
        }
        CHECK(thrown == std::errc::broken_pipe);
        CHECK(value != nullptr);
      }());
    });
  }

  TEST_CASE("closing wakes the senders that wait, their values untouched") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<std::string>(0);
        std::string left = "still here";
        auto sender = [](channel_sender<std::string> t, std::string& s) -> task<std::error_code> {
          const result<void> r = co_await as_result(t.send(std::move(s)));
          co_return r.error();
        };
        auto closer = [](channel_receiver<std::string> r) -> task<> {
          co_await yield();
          r.close();
        };
        auto both = co_await when_all(sender(tx, left), closer(rx));
        CHECK(std::get<0>(both) == std::errc::broken_pipe);
        CHECK(left == "still here");
      }());
    });
  }

  TEST_CASE("closing wakes the receivers that wait, with nothing") {
    on_both([](const run_options& options) {
      std::atomic<int> empty = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto [tx, rx] = channel<int>(2);
        auto body = [&n, tx, rx](task_group& g) -> task<> {
          g.spawn_n(5, [rx, &n]() -> task<> {
            const std::optional<int> nothing = co_await rx.receive();
            if (!nothing) ++n;
          });
          for (int i = 0; i < 10; ++i) {
            co_await yield();
          }
          tx.close();
        };
        co_await with_task_group(body);
      }(empty));
      CHECK(empty == 5);
    });
  }

  TEST_CASE("the channel closes when the last of its senders goes") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = channel<int>(2);
        std::optional<channel_sender<int>> first(std::move(ends.sender));
        std::optional<channel_sender<int>> second(*first);
        CHECK(first->try_send(1));
        first.reset();
        CHECK(second->try_send(2));
        second.reset();
        const std::optional<int> a = co_await ends.receiver.receive();
        const std::optional<int> b = co_await ends.receiver.receive();
        const std::optional<int> c = co_await ends.receiver.receive();
        CHECK(a == 1);
        CHECK(b == 2);
        CHECK_FALSE(c.has_value());
      }());
    });
  }

  TEST_CASE("move-only values move through, waiting or not") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<std::unique_ptr<int>>(1);
        auto sender = [](channel_sender<std::unique_ptr<int>> t) -> task<> {
          for (int i = 0; i < 10; ++i) {
            co_await t.send(std::make_unique<int>(i));
          }
          t.close();
        };
        auto receiver = [](channel_receiver<std::unique_ptr<int>> r) -> task<int> {
          int sum = 0;
          while (const std::optional<std::unique_ptr<int>> p = co_await r.receive()) {
            sum += **p;
          }
          co_return sum;
        };
        auto both = co_await when_all(sender(std::move(tx)), receiver(std::move(rx)));
        CHECK(std::get<1>(both) == 45);
      }());
    });
  }

  TEST_CASE("a channel destroys the values that are left in it") {
    {
      auto [tx, rx] = channel<counted>(4);
      CHECK(tx.try_send(counted(1)));
      CHECK(tx.try_send(counted(2)));
      CHECK(tx.try_send(counted(3)));
      CHECK(rx.try_receive()->number == 1);
      CHECK(tx.try_send(counted(4)));
      CHECK(tx.try_send(counted(5)));
      CHECK_FALSE(tx.try_send(counted(6)));
      CHECK(counted::alive() == 4);
    }
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("an lvalue is copied into the channel") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<std::string>(1);
        const std::string original = "a string long enough to lie on the heap";
        co_await tx.send(original);
        const std::optional<std::string> copy = co_await rx.receive();
        CHECK(copy == original);
        CHECK(tx.try_send(original));
        CHECK_FALSE(tx.try_send(original));
        CHECK(rx.try_receive() == original);
      }());
    });
  }

  TEST_CASE("a channel joins a loop and a pool") {
    auto [tx, rx] = channel<int>(8);
    std::atomic<long> sum = 0;
    std::atomic<int> count = 0;
    std::thread other([&, r = std::move(rx)]() mutable {
      run({.workers = 2},
          [](channel_receiver<int> in, std::atomic<long>& s, std::atomic<int>& n) -> task<> {
            const work_guard sender_is_elsewhere;
            co_await when_all(add_all(in, s, n), add_all(in, s, n));
          }(std::move(r), sum, count));
    });
    run(tests::from_outside(send_numbers(std::move(tx), 0, 5000)));
    other.join();
    CHECK(count == 5000);
    CHECK(sum == 4999L * 5000 / 2);
  }
}

}  // namespace channel_test

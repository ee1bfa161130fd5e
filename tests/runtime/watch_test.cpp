// SPDX-License-Identifier: MIT
#include "weft/runtime/watch.hpp"

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
#include <string>
#include <thread>
#include <utility>

namespace watch_test {

using namespace weft;
using tests::counted;
using tests::on_both;

TEST_SUITE("runtime/watch") {
  TEST_CASE("a receiver sees the initial value, and is told of those that follow") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = watch<std::string>("first");
        CHECK(*rx.get() == "first");
        tx.send("second");
        const bool changed = co_await rx.changed();
        CHECK(changed);
        CHECK(*rx.get() == "second");
      }());
    });
  }

  TEST_CASE("only the latest value is seen, and once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = watch(0);
        std::atomic<int> changes = 0;
        auto body = [&](task_group& g) -> task<> {
          for (int i = 1; i <= 5; ++i) ends.sender.send(i);
          const bool changed = co_await ends.receiver.changed();
          CHECK(changed);
          g.spawn([&]() -> task<> {
            const result<bool> r = co_await as_result(ends.receiver.changed());
            if (r) ++changes;
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(changes == 0);
        CHECK(*ends.receiver.get() == 5);
      }());
    });
  }

  TEST_CASE("what get() returned is not told again, and does not change") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = watch<std::string>("first");
        std::optional<watch_sender<std::string>> tx(std::move(ends.sender));
        tx->send("second");
        const auto second = ends.receiver.get();
        tx->send("third");
        CHECK(*second == "second");
        CHECK(*ends.receiver.get() == "third");
        tx.reset();
        const bool changed = co_await ends.receiver.changed();
        CHECK_FALSE(changed);
      }());
    });
  }

  TEST_CASE("all receivers that wait are woken, each with its own view of what is new") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = watch(1);
        std::atomic<int> sum = 0;
        auto waiter = [](watch_receiver<int> rx, std::atomic<int>& s) -> task<> {
          const bool changed = co_await rx.changed();
          if (changed) s += *rx.get();
        };
        auto body = [&](task_group& g) -> task<> {
          for (int i = 0; i < 10; ++i) g.spawn(waiter, ends.receiver, std::ref(sum));
          for (int i = 0; i < 5; ++i) co_await yield();
          ends.sender.send(7);
          const watch_receiver<int> copy = ends.receiver;  // has not seen the 7
          g.spawn(waiter, copy, std::ref(sum));
        };
        co_await with_task_group(body);
        CHECK(sum == 77);
        auto late = ends.sender.subscribe();
        CHECK(*late.get() == 7);
      }());
    });
  }

  TEST_CASE("it is closed when the last sender goes, after the last value was seen") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = watch(0);
        std::optional<watch_sender<int>> one(std::move(ends.sender));
        std::optional<watch_sender<int>> two(*one);
        std::atomic<int> told = 0;
        std::atomic<bool> closed = false;
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            for (;;) {
              const bool changed = co_await ends.receiver.changed();
              if (!changed) break;
              told = *ends.receiver.get();
            }
            closed = true;
          });
          for (int i = 0; i < 5; ++i) co_await yield();
          one.reset();
          for (int i = 0; i < 5; ++i) co_await yield();
          CHECK_FALSE(closed);
          two->send(1);
          two->send(2);
          two.reset();
        };
        co_await with_task_group(body);
        CHECK(told == 2);
        CHECK(closed);
        CHECK(*ends.receiver.get() == 2);
      }());
    });
  }

  TEST_CASE("a cancelled receiver has seen nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 200; ++round) {
          auto ends = watch(0);
          std::atomic<bool> told = false;
          auto body = [&](task_group& g) -> task<> {
            g.spawn([&]() -> task<> {
              const result<bool> r = co_await as_result(ends.receiver.changed());
              told = r.has_value();
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
          if (!told) {
            const bool changed = co_await ends.receiver.changed();
            CHECK(changed);
          }
        }
      }());
    });
  }

  TEST_CASE("values that were replaced are destroyed, the last with its holders") {
    {
      auto ends = watch(counted(1));
      ends.sender.send(counted(2));
      ends.sender.send(counted(3));
      CHECK(counted::alive() == 1);
      const auto held = ends.receiver.get();
      ends.sender.send(counted(4));
      CHECK(counted::alive() == 2);
      CHECK(held->number == 3);
    }
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("a plain thread sends, and nobody misses the last value") {
    on_both([](const run_options& options) {
      auto ends = watch(0);
      std::thread sender([tx = std::move(ends.sender)] {
        for (int i = 1; i <= 1000; ++i) tx.send(i);
      });
      std::atomic<int> disorder = 0;
      std::atomic<int> at_the_end = 0;
      run(options,
          [](watch_receiver<int> from, std::atomic<int>& bad, std::atomic<int>& last) -> task<> {
            const work_guard sender_comes;
            auto follow = [&](watch_receiver<int> rx) -> task<> {
              int before = 0;
              for (;;) {
                const bool changed = co_await rx.changed();
                if (!changed) break;
                const int now = *rx.get();
                if (now < before) ++bad;
                before = now;
              }
              if (before == 1000) ++last;
            };
            auto all = [&](task_group& g) -> task<> {
              for (int i = 0; i < 4; ++i) g.spawn(follow, from);
              co_return;
            };
            co_await with_task_group(all);
          }(ends.receiver, disorder, at_the_end));
      sender.join();
      CHECK(disorder == 0);
      CHECK(at_the_end == 4);
    });
  }
}

}  // namespace watch_test

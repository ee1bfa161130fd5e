// SPDX-License-Identifier: MIT
#include "weft/runtime/yield.hpp"

#include "support/both_schedulers.hpp"
#include "support/bounded_wait.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

namespace yield_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::bounded_wait;
using tests::on_both;

TEST_SUITE("runtime/yield") {
  TEST_CASE("two tasks that yield take turns") {
    std::string turns;
    run([](std::string& out) -> task<> {
      auto body = [&out](task_group& g) -> task<> {
        auto player = [](std::string& o, char name) -> task<> {
          for (int i = 0; i < 4; ++i) {
            o += name;
            co_await yield();
          }
        };
        g.spawn(player, std::ref(out), 'a');
        g.spawn(player, std::ref(out), 'b');
        co_return;
      };
      co_await with_task_group(body);
    }(turns));
    CHECK(turns == "abababab");
  }

  TEST_CASE("a yield under a stopped scope is refused") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          g.cancel();
          const result<void> r = co_await as_result(yield());
          CHECK(r.error() == std::errc::operation_canceled);
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("tasks that yield for ever do not hold up a timer") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          g.spawn_n(3, []() -> task<> {
            for (;;) {
              co_await yield();
            }
          });
          co_await sleep_for(10ms);
          g.cancel();
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a channel that is always ready does not hold up a timer") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          auto [tx, rx] = channel<int>(1000);
          g.spawn(
              [](channel_sender<int> t) -> task<> {
                for (;;) {
                  co_await t.send(1);
                }
              },
              std::move(tx));
          g.spawn(
              [](channel_receiver<int> r) -> task<> {
                for (;;) {
                  (void)co_await r.receive();
                }
              },
              std::move(rx));
          co_await sleep_for(10ms);
          g.cancel();
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("one task that sends and receives without ever waiting gives way to others") {
    on_both([](const run_options& options) {
      std::atomic<bool> stop = false;
      run(options, [](std::atomic<bool>& flag, unsigned workers) -> task<> {
        auto body = [&flag, workers](task_group& g) -> task<> {
          g.spawn(
              [](std::atomic<bool>& f) -> task<> {
                f = true;
                co_return;
              },
              std::ref(flag));
          auto [tx, rx] = channel<int>(1);
          for (bounded_wait wait(workers, 1'000'000); !flag && wait.goes_on();) {
            co_await tx.send(1);
            (void)co_await rx.receive();
          }
          CHECK(flag);
        };
        co_await with_task_group(body);
      }(stop, options.workers));
    });
  }
}

}  // namespace yield_test

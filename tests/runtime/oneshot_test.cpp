// SPDX-License-Identifier: MIT
#include "weft/runtime/oneshot.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
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

namespace oneshot_test {

using namespace weft;
using tests::counted;
using tests::on_both;

TEST_SUITE("runtime/oneshot") {
  TEST_CASE("the value comes out, whether it was sent before or is waited for") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto early = oneshot<std::string>();
        CHECK(early.sender.send("early"));
        const std::optional<std::string> first = co_await early.receiver.receive();
        CHECK(first == "early");
        auto late = oneshot<std::unique_ptr<int>>();
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            const std::optional<std::unique_ptr<int>> p = co_await late.receiver.receive();
            REQUIRE(p.has_value());
            CHECK(**p == 5);
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          CHECK(late.sender.send(std::make_unique<int>(5)));
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("a sender that goes without a word gives the receiver nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = oneshot<int>();
        std::optional<oneshot_sender<int>> tx(std::move(ends.sender));
        CHECK_FALSE(ends.receiver.try_receive().has_value());
        std::atomic<bool> got_nothing = false;
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            const std::optional<int> n = co_await ends.receiver.receive();
            got_nothing = !n.has_value();
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          tx.reset();
        };
        co_await with_task_group(body);
        CHECK(got_nothing);
      }());
    });
  }

  TEST_CASE("without a receiver the value stays with who sends it") {
    auto ends = oneshot<std::unique_ptr<int>>();
    {
      const oneshot_receiver<std::unique_ptr<int>> gone = std::move(ends.receiver);
      CHECK_FALSE(ends.sender.receiver_gone());
    }
    CHECK(ends.sender.receiver_gone());
    auto value = std::make_unique<int>(4);
    CHECK_FALSE(ends.sender.send(std::move(value)));
    REQUIRE(value != nullptr);
    CHECK(*value == 4);
  }

  TEST_CASE("a value is received once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = oneshot<int>();
        const int seven = 7;
        CHECK(tx.send(seven));
        CHECK(rx.try_receive() == 7);
        CHECK_FALSE(rx.try_receive().has_value());
        const std::optional<int> again = co_await rx.receive();
        CHECK_FALSE(again.has_value());
      }());
    });
  }

  TEST_CASE("a value that nobody takes is destroyed with the receiver") {
    {
      auto ends = oneshot<counted>();
      CHECK(ends.sender.send(counted(1)));
      CHECK(counted::alive() == 1);
    }
    CHECK(counted::alive() == 0);
  }

  TEST_CASE("a cancelled receiver gets the value the next time") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto ends = oneshot<int>();
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> {
            const result<std::optional<int>> r = co_await as_result(ends.receiver.receive());
            CHECK_FALSE(r);
          });
          for (int i = 0; i < 10; ++i) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(ends.sender.send(3));
        const std::optional<int> n = co_await ends.receiver.receive();
        CHECK(n == 3);
      }());
    });
  }

  TEST_CASE("a stop that races with the value delivers it now or leaves it there") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 300; ++round) {
          auto ends = oneshot<int>();
          std::atomic<int> got = 0;
          auto body = [&](task_group& g) -> task<> {
            g.spawn([&]() -> task<> {
              const result<std::optional<int>> r = co_await as_result(ends.receiver.receive());
              if (r) got = r->value_or(0);
            });
            auto send = [&]() -> task<> {
              CHECK(ends.sender.send(1));
              co_return;
            };
            for (int i = 0; i < round % 4; ++i) co_await yield();
            g.spawn(send);
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

  TEST_CASE("a plain thread answers a task") {
    on_both([](const run_options& options) {
      for (int round = 0; round < 50; ++round) {
        auto ends = oneshot<int>();
        std::thread answering([tx = std::move(ends.sender), round]() mutable { tx.send(round); });
        const std::optional<int> n = run(
            options, tests::from_outside([](oneshot_receiver<int> rx) -> task<std::optional<int>> {
              const std::optional<int> answer = co_await rx.receive();
              co_return answer;
            }(std::move(ends.receiver))));
        answering.join();
        CHECK(n == round);
      }
    });
  }

  TEST_CASE("sending twice ends the program with a message") {
    const std::string said = tests::dying_words([] {
      auto ends = oneshot<int>();
      ends.sender.send(1);
      ends.sender.send(2);
    });
    CHECK(said.find("this oneshot_sender has sent its value") != std::string::npos);
  }

  TEST_CASE("a closed receiver refuses what comes, and has what came before") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto early = oneshot<std::string>();
        CHECK(early.sender.send("early"));
        early.receiver.close();
        CHECK(early.receiver.try_receive() == "early");
        auto late = oneshot<std::string>();
        late.receiver.close();
        CHECK(late.sender.receiver_gone());
        std::string kept = "kept";
        CHECK_FALSE(late.sender.send(std::move(kept)));
        CHECK(kept == "kept");
        const std::optional<std::string> nothing = co_await late.receiver.receive();
        CHECK_FALSE(nothing.has_value());
      }());
    });
  }
}

}  // namespace oneshot_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/task_status.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/dying_words.hpp"
#include "support/virtual_time.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace task_status_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::dying_words;
using tests::on_both;
using tests::on_both_in_virtual_time;

namespace {

/// Ready after a turn, with a number; goes on until `end` is set.
task<> serve(task_status<int>& status, int port, event& end) {
  co_await yield();
  status.started(port);
  co_await end.wait();
}

/// Never says a word; notes that it was cancelled.
task<> hesitate(task_status<>& /*status*/, std::atomic<int>& cancels) {
  try {
    co_await sleep_for(1h);
  } catch (const cancelled&) {
    ++cancels;
    throw;
  }
}

task<> fail_early(task_status<>& /*status*/) {
  co_await yield();
  throw std::runtime_error("no port");
}

task<> leave_early(task_status<>& /*status*/) { co_await yield(); }

struct ready_or_cancelled {
  std::atomic<int> ready{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> ended{0};
};

task<> ready_after(task_status<int>& status, int turns, ready_or_cancelled& all) {
  for (int i = 0; i < turns; ++i) (void)co_await as_result(yield());
  status.started(1);
  (void)co_await as_result(sleep_for(1h));
  ++all.ended;
}

}  // namespace

TEST_SUITE("runtime/task_status") {
  TEST_CASE("start returns what the child says, and the child goes on as one of the group") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        event end;
        int port = 0;
        auto body = [&](task_group& group) -> task<> {
          port = co_await group.start(serve, 8080, std::ref(end));
          end.set();
        };
        co_await with_task_group(body);
        CHECK(port == 8080);
      }());
    });
  }

  TEST_CASE("start waits for a child that has nothing to give, and gives values that only move") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool ready = false;
        int boxed = 0;
        auto body = [&](task_group& group) -> task<> {
          co_await group.start([&ready](task_status<>& status) -> task<> {
            for (int i = 0; i < 10; ++i) co_await yield();
            ready = true;
            status.started();
          });
          CHECK(ready);
          auto box = [](task_status<std::unique_ptr<int>>& status, std::string text) -> task<> {
            status.started(std::make_unique<int>(static_cast<int>(text.size())));
            co_return;
          };
          const std::unique_ptr<int> p = co_await group.start(box, std::string("four"));
          boxed = *p;
        };
        co_await with_task_group(body);
        CHECK(boxed == 4);
      }());
    });
  }

  TEST_CASE("a child that fails before it is ready fails its start, and not the group") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::string what;
        bool sibling_went_on = false;
        auto body = [&](task_group& group) -> task<> {
          event go_on;
          auto sibling = group.spawn([&]() -> task<> {
            co_await go_on.wait();
            sibling_went_on = true;
          });
          try {
            co_await group.start(fail_early);
          } catch (const std::runtime_error& e) {
            what = e.what();
          }
          go_on.set();
          co_await sibling;
        };
        co_await with_task_group(body);
        CHECK(what == "no port");
        CHECK(sibling_went_on);
      }());
    });
  }

  TEST_CASE("a child that fails after it was ready fails its group") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::string what;
        bool started = false;
        auto body = [&](task_group& group) -> task<> {
          co_await group.start([](task_status<>& status) -> task<> {
            status.started();
            co_await yield();
            throw std::runtime_error("later");
          });
          started = true;
          co_await sleep_for(1h);
        };
        try {
          co_await with_task_group(body);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        // On a pool the failure may cancel the body while start is about to return.
        if (!detail::current_worker()->shared) CHECK(started);
        CHECK(what == "later");
      }());
    });
  }

  TEST_CASE("a child that ends without a word is an error of its start") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        caught c;
        auto body = [&](task_group& group) -> task<> {
          c = co_await catching(group.start(leave_early));
        };
        co_await with_task_group(body);
        CHECK(c.code == std::errc::broken_pipe);
        CHECK(c.what.find("start") != std::string::npos);
      }());
    });
  }

  TEST_CASE("a time limit around start cancels the child, and the group goes on") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cancels = 0;
        bool went_on = false;
        caught c;
        auto body = [&](task_group& group) -> task<> {
          c = co_await catching(with_timeout(1ms, group.start(hesitate, std::ref(cancels))));
          co_await yield();
          went_on = true;
        };
        co_await with_task_group(body);
        CHECK(c.was_timeout);
        CHECK(cancels == 1);
        CHECK(went_on);
      }());
    });
  }

  TEST_CASE("what a child fails with after its start was cancelled is its group's failure") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        caught start;
        std::string what;
        auto body = [&](task_group& group) -> task<> {
          auto fails = [](task_status<>&) -> task<> {
            (void)co_await as_result(sleep_for(1h));
            throw std::runtime_error("while it was cancelled");
          };
          start = co_await catching(with_timeout(1ms, group.start(fails)));
          (void)co_await as_result(sleep_for(1h));
        };
        try {
          co_await with_task_group(body);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(start.was_timeout);
        CHECK(what == "while it was cancelled");
      }());
    });
  }

  TEST_CASE("a group that is cancelled ends the child and its start") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cancels = 0;
        bool was_cancelled = false;
        auto body = [&](task_group& group) -> task<> {
          group.spawn([&]() -> task<> {
            co_await sleep_for(1ms);
            group.cancel();
          });
          const caught c = co_await catching(group.start(hesitate, std::ref(cancels)));
          was_cancelled = c.was_cancelled;
        };
        co_await with_task_group(body);
        CHECK(was_cancelled);
        CHECK(cancels == 1);
      }());
    });
  }

  TEST_CASE("who starts from outside a group that is cancelled gets an error, not a cancel") {
    on_both_in_virtual_time([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cancels = 0;
        caught c;
        event begun;
        task_group* inner = nullptr;
        auto outer = [&](task_group& group) -> task<> {
          auto starter = [&]() -> task<> {
            co_await begun.wait();
            c = co_await catching(inner->start(hesitate, std::ref(cancels)));
          };
          auto starting = group.spawn(starter);
          auto body = [&](task_group& g) -> task<> {
            inner = &g;
            begun.set();
            co_await sleep_for(1ms);
            g.cancel();
          };
          co_await with_task_group(body);
          co_await starting;
        };
        co_await with_task_group(outer);
        CHECK_FALSE(c.was_cancelled);
        CHECK(c.code == std::errc::operation_canceled);
        CHECK(cancels == 1);
      }());
    });
  }

  TEST_CASE("under a stopped scope start starts nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> begun = 0;
        bool was_cancelled = false;
        auto body = [&](task_group& group) -> task<> {
          group.cancel();
          auto begins = [&begun](task_status<>& status) -> task<> {
            ++begun;
            status.started();
            co_return;
          };
          const caught c = co_await catching(group.start(begins));
          was_cancelled = c.was_cancelled;
        };
        co_await with_task_group(body);
        CHECK(was_cancelled);
        CHECK(begun == 0);
      }());
    });
  }

  TEST_CASE("a word in the turn of the cancel is delivered, or its child is cancelled") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        ready_or_cancelled all;
        const int rounds = 400;
        for (int i = 0; i < rounds; ++i) {
          auto body = [&](task_group& group) -> task<> {
            auto starter = [&](int turns) -> task<> {
              const caught c = co_await catching(group.start(ready_after, turns, std::ref(all)));
              ++(c.was_cancelled ? all.cancelled : all.ready);
            };
            const auto starting = group.spawn(starter, i % 5);
            for (int turn = 0; turn < i / 5 % 7; ++turn) co_await yield();
            starting.cancel();
            // A child whose start was cancelled ends by itself, one that is ready with its group.
            while (!starting.done()) co_await yield();
            group.cancel();
          };
          co_await with_task_group(body);
        }
        CHECK(all.ready + all.cancelled == rounds);
        CHECK(all.cancelled > 0);
      }());
    });
  }

  TEST_CASE("a child whose start was cancelled ends without a cancel of its group") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> cancels = 0;
        auto body = [&](task_group& group) -> task<> {
          auto starter = [&]() -> task<> { co_await group.start(hesitate, std::ref(cancels)); };
          const auto starting = group.spawn(starter);
          for (int i = 0; i < 20; ++i) co_await yield();
          starting.cancel();
        };
        co_await with_task_group(body);
        CHECK(cancels <= 1);
      }());
    });
  }

  TEST_CASE("with one place at a time a start that has its turn comes through") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        int port = 0;
        auto body = [&](task_group& group) -> task<> {
          group.spawn([]() -> task<> { co_await sleep_for(1ms); });
          port = co_await group.start([](task_status<int>& status) -> task<> {
            status.started(7);
            co_return;
          });
        };
        co_await with_task_group({.max_concurrency = 1}, body);
        CHECK(port == 7);
      }());
    });
  }

  TEST_CASE("a task that says twice that it has started ends the program and says so") {
    const std::string said = dying_words([] {
      run([]() -> task<> {
        auto body = [](task_group& group) -> task<> {
          co_await group.start([](task_status<>& status) -> task<> {
            status.started();
            status.started();
            co_return;
          });
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("started() was called again") != std::string::npos);
  }
}

}  // namespace task_status_test

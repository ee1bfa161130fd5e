// SPDX-License-Identifier: MIT
#include "weft/runtime/task_group.hpp"

#include "support/both_schedulers.hpp"
#include "support/bounded_wait.hpp"
#include "support/by_handle.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace task_group_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::bounded_wait;
using tests::counted;
using tests::on_both;

namespace {

task<> count_up(std::atomic<int>& n) {
  ++n;
  co_return;
}

/// Sleeps for an hour, and counts itself when a cancel ends that.
task<> sleep_until_cancelled(std::atomic<int>& cancels) {
  try {
    co_await sleep_for(1h);
  } catch (const cancelled&) {
    ++cancels;
    throw;
  }
}

task<> fail_with(std::string what) {
  co_await yield();
  throw std::runtime_error(what);
}

/// Resumes who waits by its handle when it is destroyed.
struct resumes_at_its_end {
  explicit resumes_at_its_end(std::atomic<void*>& waiting) noexcept : at(&waiting) {}
  resumes_at_its_end(resumes_at_its_end&& other) noexcept : at(std::exchange(other.at, nullptr)) {}
  ~resumes_at_its_end() {
    if (at != nullptr) tests::resume_by_handle(*at);
  }
  std::atomic<void*>* at;
};

/// A value whose end is noted.
struct noted {
  explicit noted(std::atomic<int>& n) noexcept : alive(&n) { ++*alive; }
  noted(noted&& other) noexcept : alive(other.alive) { ++*alive; }
  ~noted() { --*alive; }
  std::atomic<int>* alive;
};

}  // namespace

TEST_SUITE("runtime/task_group") {
  TEST_CASE("with_task_group gives what its body returns") {
    on_both([](const run_options& options) {
      const std::unique_ptr<int> p = run(options, []() -> task<std::unique_ptr<int>> {
        auto body = [](task_group&) -> task<std::unique_ptr<int>> {
          co_return std::make_unique<int>(3);
        };
        std::unique_ptr<int> inner = co_await with_task_group(body);
        co_return inner;
      }());
      CHECK(*p == 3);
      int n = 1;
      int& same = run(options, [](int& k) -> task<int&> {
        auto body = [&k](task_group&) -> task<int&> { co_return k; };
        int& inner = co_await with_task_group(body);
        co_return inner;
      }(n));
      CHECK(&same == &n);
    });
  }

  TEST_CASE("a group does not end before its children, those of its children too") {
    on_both([](const run_options& options) {
      std::atomic<int> ended = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          for (int i = 0; i < 10; ++i) {
            g.spawn(
                [](task_group& group, std::atomic<int>& k) -> task<> {
                  co_await yield();
                  group.spawn(
                      [](std::atomic<int>& grand) -> task<> {
                        co_await sleep_for(1ms);
                        ++grand;
                      },
                      std::ref(k));
                  ++k;
                },
                std::ref(g), std::ref(n));
          }
          co_return;
        };
        co_await with_task_group(body);
        CHECK(n == 20);
      }(ended));
    });
  }

  TEST_CASE("a hundred thousand children of one group all run") {
    on_both([](const run_options& options) {
      std::atomic<int> ran = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          for (int i = 0; i < 100'000; ++i) {
            g.spawn(count_up, std::ref(n));
          }
          co_return;
        };
        co_await with_task_group(body);
      }(ran));
      CHECK(ran == 100'000);
    });
  }

  TEST_CASE("spawn_n starts that many copies") {
    on_both([](const run_options& options) {
      std::atomic<int> ran = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn_n(8, [&n]() -> task<> { return count_up(n); });
          co_return;
        };
        co_await with_task_group(body);
      }(ran));
      CHECK(ran == 8);
    });
  }

  TEST_CASE("spawn takes a task that was made before") {
    on_both([](const run_options& options) {
      std::atomic<int> ran = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn(count_up(n));
          co_return;
        };
        co_await with_task_group(body);
      }(ran));
      CHECK(ran == 1);
    });
  }

  TEST_CASE("the first failure cancels the siblings, joins them and is thrown") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      CHECK_THROWS_WITH_AS(run(options,
                               [](std::atomic<int>& n) -> task<> {
                                 auto body = [&n](task_group& g) -> task<> {
                                   g.spawn_n(20,
                                             [&n]() -> task<> { return sleep_until_cancelled(n); });
                                   g.spawn(fail_with, "first");
                                   co_return;
                                 };
                                 co_await with_task_group(body);
                               }(cancels)),
                           "first", std::runtime_error);
      CHECK(cancels == 20);
    });
  }

  TEST_CASE("a failing child cancels the body where it waits") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      CHECK_THROWS_WITH_AS(run(options,
                               [](std::atomic<int>& n) -> task<> {
                                 auto body = [&n](task_group& g) -> task<> {
                                   g.spawn(fail_with, "child");
                                   co_await sleep_until_cancelled(n);
                                 };
                                 co_await with_task_group(body);
                               }(cancels)),
                           "child", std::runtime_error);
      CHECK(cancels == 1);
    });
  }

  TEST_CASE("a failing body cancels the children and is thrown") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      CHECK_THROWS_WITH_AS(run(options,
                               [](std::atomic<int>& n) -> task<> {
                                 auto body = [&n](task_group& g) -> task<> {
                                   g.spawn(sleep_until_cancelled, std::ref(n));
                                   co_await fail_with("body");
                                 };
                                 co_await with_task_group(body);
                               }(cancels)),
                           "body", std::runtime_error);
      CHECK(cancels == 1);
    });
  }

  TEST_CASE("failures beside the first are counted, and sixteen of them are kept in order") {
    on_both([](const run_options& options) {
      group_failures others;
      CHECK_THROWS_AS(run(options,
                          [](group_failures& kept) -> task<> {
                            auto body = [](task_group& g) -> task<> {
                              g.spawn_n(31, []() -> task<> {
                                try {
                                  co_await sleep_for(1h);
                                } catch (const cancelled&) {
                                  throw std::logic_error("while cancelled");
                                }
                              });
                              co_await fail_with("first");
                            };
                            co_await with_task_group({.failures = &kept}, body);
                          }(others)),
                      std::runtime_error);
      CHECK(others.count() == 31);
      CHECK(others.exceptions().size() == 16);
      for (const std::exception_ptr& e : others.exceptions()) {
        CHECK_THROWS_AS(std::rethrow_exception(e), std::logic_error);
      }
    });
  }

  TEST_CASE("a group without a failure reports none") {
    group_failures others;
    run([](group_failures& kept) -> task<> {
      auto body = [](task_group&) -> task<> { co_return; };
      co_await with_task_group({.failures = &kept}, body);
    }(others));
    CHECK(others.count() == 0);
    CHECK(others.exceptions().empty());
  }

  TEST_CASE("a group that cancels itself ends normally") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      bool went_on = false;
      run(options, [](std::atomic<int>& n, bool& after) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn_n(3, [&n]() -> task<> { return sleep_until_cancelled(n); });
          co_await yield();
          g.cancel();
          CHECK(g.stop_requested());
          co_await sleep_until_cancelled(n);
        };
        co_await with_task_group(body);
        co_await sleep_for(1ms);
        after = true;
      }(cancels, went_on));
      // A child that had not begun to sleep when the stop came finds it refused: the same cancel.
      CHECK(cancels == 4);
      CHECK(went_on);
    });
  }

  TEST_CASE("a child may cancel its group") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.spawn(
              [](task_group& group) -> task<> {
                co_await yield();
                group.cancel();
                group.cancel();
              },
              std::ref(g));
          co_await sleep_until_cancelled(n);
        };
        co_await with_task_group(body);
      }(cancels));
      CHECK(cancels == 1);
    });
  }

  TEST_CASE("a plain thread may cancel a group that is held open") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        std::thread canceller;
        auto body = [&](task_group& g) -> task<> {
          canceller = std::thread([&g] { g.cancel(); });
          co_await sleep_until_cancelled(n);
        };
        co_await with_task_group(body);
        canceller.join();
      }(cancels));
      CHECK(cancels == 1);
    });
  }

  TEST_CASE("a cancelled group that has no value to return says so") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<int> {
          g.cancel();
          co_await yield();
          co_return 1;
        };
        std::error_code code;
        try {
          (void)co_await with_task_group(body);
        } catch (const std::system_error& e) {
          code = e.code();
        }
        CHECK(code == std::errc::operation_canceled);
      }());
    });
  }

  TEST_CASE("a value that the body returned in spite of a cancel is delivered") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<int> {
          g.cancel();
          co_return 5;
        };
        const int n = co_await with_task_group(body);
        CHECK(n == 5);
      }());
    });
  }

  TEST_CASE("an outer failure cancels the children of inner groups, which see it as cancelled") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      std::atomic<int> went_past = 0;
      CHECK_THROWS_WITH_AS(run(options,
                               [](std::atomic<int>& n, std::atomic<int>& past) -> task<> {
                                 auto inner = [&n](task_group& g) -> task<> {
                                   g.spawn_n(5,
                                             [&n]() -> task<> { return sleep_until_cancelled(n); });
                                   co_await sleep_until_cancelled(n);
                                 };
                                 auto outer = [&](task_group& g) -> task<> {
                                   g.spawn([&]() -> task<> {
                                     co_await with_task_group(inner);
                                     ++past;
                                   });
                                   g.spawn([&]() -> task<> {
                                     co_await with_task_group(inner);
                                     ++past;
                                   });
                                   co_await sleep_for(1ms);
                                   throw std::runtime_error("outer");
                                 };
                                 co_await with_task_group(outer);
                               }(cancels, went_past)),
                           "outer", std::runtime_error);
      CHECK(cancels == 12);
      CHECK(went_past == 0);
    });
  }

  TEST_CASE("an outer cancel reaches a group whose body has ended and waits for its children") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto inner = [&n](task_group& g) -> task<> {
          g.spawn(sleep_until_cancelled, std::ref(n));
          co_return;
        };
        auto outer = [&](task_group& g) -> task<> {
          g.spawn([&]() -> task<> { co_await with_task_group(inner); });
          co_await sleep_for(1ms);
          g.cancel();
        };
        co_await with_task_group(outer);
      }(cancels));
      CHECK(cancels == 1);
    });
  }

  TEST_CASE("an inner cancel is absorbed by the inner group alone") {
    on_both([](const run_options& options) {
      bool outer_went_on = false;
      run(options, [](bool& flag) -> task<> {
        auto inner = [](task_group& g) -> task<> {
          g.cancel();
          co_await sleep_for(1h);
        };
        auto outer = [&](task_group& g) -> task<> {
          co_await with_task_group(inner);
          co_await sleep_for(1ms);
          flag = !g.stop_requested();
        };
        co_await with_task_group(outer);
      }(outer_went_on));
      CHECK(outer_went_on);
    });
  }

  TEST_CASE("a group opened under a stopped scope is stopped from its first await") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto inner = [&n](task_group& g) -> task<> {
          g.spawn(sleep_until_cancelled, std::ref(n));
          co_await sleep_until_cancelled(n);
        };
        auto outer = [&](task_group& g) -> task<> {
          g.cancel();
          co_await with_task_group(inner);
        };
        co_await with_task_group(outer);
      }(cancels));
      CHECK(cancels == 2);
    });
  }

  TEST_CASE("catching std::exception does not swallow a cancel") {
    on_both([](const run_options& options) {
      bool swallowed = false;
      run(options, [](bool& flag) -> task<> {
        auto body = [&flag](task_group& g) -> task<> {
          g.cancel();
          try {
            co_await yield();
          } catch (const std::exception&) {
            flag = true;
          }
        };
        co_await with_task_group(body);
      }(swallowed));
      CHECK_FALSE(swallowed);
    });
  }

  TEST_CASE("after a stop every await refuses, not only the first") {
    on_both([](const run_options& options) {
      int refused = 0;
      run(options, [](int& n) -> task<> {
        auto body = [&n](task_group& g) -> task<> {
          g.cancel();
          for (int i = 0; i < 5; ++i) {
            const result<void> r = co_await as_result(sleep_for(1h));
            if (!r && r.error() == std::errc::operation_canceled) ++n;
          }
        };
        co_await with_task_group(body);
      }(refused));
      CHECK(refused == 5);
    });
  }

  TEST_CASE("a loop that ignores refused awaits lets other tasks run") {
    on_both([](const run_options& options) {
      bool others_ran_between = false;
      run(options, [](bool& flag, unsigned workers) -> task<> {
        std::atomic<int> turns = 0;
        std::atomic<bool> over = false;
        auto body = [&](task_group& g) -> task<> {
          auto stubborn = [&](task_group& inner) -> task<> {
            inner.cancel();
            for (bounded_wait wait(workers, 100'000); turns <= 100 && wait.goes_on();) {
              const result<void> r = co_await as_result(sleep_for(1h));
              if (r) co_return;
            }
            flag = turns.load() > 100;
            over = true;
          };
          g.spawn([&]() -> task<> {
            while (!over) {
              ++turns;
              co_await yield();
            }
          });
          co_await with_task_group(stubborn);
        };
        co_await with_task_group(body);
      }(others_ran_between, options.workers));
      CHECK(others_ran_between);
    });
  }

  TEST_CASE("what a child captured or was given ends with its task, though its handle is kept") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [](task_group& g) -> task<> {
          join_handle<int> kept = g.spawn(
              [c = counted(1)](counted given) -> task<int> {
                co_await yield();
                co_return c.number + given.number;
              },
              counted(2));
          const int sum = co_await kept;
          CHECK(sum == 3);
          CHECK(counted::alive() == 0);
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("what a child captured may resume other tasks by their handles as it is destroyed") {
    on_both([](const run_options& options) {
      for (const bool fails : {false, true}) {
        std::atomic<int> ended = 0;
        run(options, [](bool throws, std::atomic<int>& n) -> task<> {
          std::atomic<void*> first = nullptr;
          std::atomic<void*> second = nullptr;
          auto waits = [&n](std::atomic<void*>& at) -> task<> {
            const tests::by_handle handle{&at};
            co_await handle;
            for (int i = 0; i < 100; ++i) co_await count_up(n);  // transfers
          };
          auto body = [&](task_group& g) -> task<> {
            g.spawn(waits, std::ref(first));
            g.spawn(waits, std::ref(second));
            while (first == nullptr || second == nullptr) co_await yield();
            auto ends = [throws, r = resumes_at_its_end(first),
                         s = resumes_at_its_end(second)]() -> task<> {
              if (throws) throw std::runtime_error("before its task was there");
              return []() -> task<> { co_return; }();
            };
            g.spawn(std::move(ends));
          };
          bool threw = false;
          try {
            co_await with_task_group(body);
          } catch (const std::runtime_error&) {
            threw = true;
          }
          CHECK(threw == throws);
        }(fails, ended));
        CHECK(ended == 200);
      }
    });
  }

  TEST_CASE("a group ends though who was resumed by what died with its child goes on for long") {
    for (const unsigned workers : {1U, 2U}) {
      const bool ended = run({.workers = workers}, [](unsigned count) -> task<bool> {
        std::atomic<void*> waiting = nullptr;
        std::atomic<bool> over = false;
        auto goes_on = [&]() -> task<bool> {
          const tests::by_handle handle{&waiting};
          co_await handle;
          // On one worker the group cannot go on meanwhile.
          for (bounded_wait wait(count, 10'000); !over && wait.goes_on();)
            co_await []() -> task<> { co_return; }();
          co_return over.load();
        };
        auto body = [&](task_group& outer) -> task<bool> {
          join_handle<bool> other = outer.spawn(goes_on);
          while (waiting == nullptr) co_await yield();
          auto ends = [](resumes_at_its_end) -> task<> { co_return; };
          auto inner = [&](task_group& g) -> task<> {
            g.spawn(ends, resumes_at_its_end(waiting));
            co_return;
          };
          co_await with_task_group(inner);
          over = true;
          const bool seen = co_await other;
          co_return seen || count == 1;
        };
        co_return co_await with_task_group(body);
      }(workers));
      CHECK(ended);
    }
  }

  TEST_CASE("a group ends though who resumed its last child by the handle goes on for long") {
    // Opens a group whose child is resumed by its handle, and says when that group has ended.
    static constexpr auto open = [](std::atomic<void*>& waiting,
                                    std::atomic<bool>& over) -> task<> {
      auto waits = [](std::atomic<void*>& at) -> task<> {
        const tests::by_handle handle{&at};
        co_await handle;
      };
      auto inner = [&](task_group& g) -> task<> {
        g.spawn(waits, std::ref(waiting));
        co_return;
      };
      co_await with_task_group(inner);
      over = true;
    };
    for (const bool before_its_task : {true, false}) {
      const bool ended = run({.workers = 2}, [](bool before) -> task<bool> {
        std::atomic<void*> waiting = nullptr;
        std::atomic<bool> over = false;
        auto goes_on = [&]() -> task<bool> {
          for (bounded_wait wait(2, 0); !over && wait.goes_on();)
            co_await []() -> task<> { co_return; }();
          co_return over.load();
        };
        auto resumes_first = [&]() -> task<bool> {
          tests::resume_by_handle(waiting);
          return goes_on();
        };
        auto resumes_within = [&]() -> task<bool> {
          tests::resume_by_handle(waiting);
          const bool seen = co_await goes_on();
          co_return seen;
        };
        auto body = [&](task_group& outer) -> task<bool> {
          outer.spawn(open, std::ref(waiting), std::ref(over));
          while (waiting == nullptr) co_await yield();
          join_handle<bool> other =
              before ? outer.spawn(resumes_first) : outer.spawn(resumes_within);
          const bool seen = co_await other;
          co_return seen;
        };
        co_return co_await with_task_group(body);
      }(before_its_task));
      CHECK(ended);
    }
  }

  TEST_CASE("a value that nobody takes is destroyed before its group ends") {
    on_both([](const run_options& options) {
      bool late = false;
      run(options, [](bool& flag) -> task<> {
        for (int round = 0; round < 2000; ++round) {
          std::atomic<int> alive = 0;
          auto body = [&alive](task_group& g) -> task<> {
            auto make = [](std::atomic<int>& n) -> task<noted> {
              co_await yield();
              co_return noted(n);
            };
            const auto kept_until_the_body_ends = g.spawn(make, std::ref(alive));
            g.spawn(make, std::ref(alive));
            co_await yield();
          };
          co_await with_task_group(body);
          if (alive != 0) flag = true;
        }
      }(late));
      CHECK_FALSE(late);
    });
  }

  TEST_CASE("spawning on a group that has ended ends the program and says so") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        task_group* ended = nullptr;
        auto inner = [&](task_group& g) -> task<> {
          ended = &g;
          co_return;
        };
        auto outer = [&](task_group&) -> task<> {
          // The inner group's frame is held, so that the group can be reached when it has ended.
          task<> held = with_task_group(inner);
          co_await std::move(held);
          ended->spawn([]() -> task<> { co_return; });
        };
        co_await with_task_group(outer);
      }());
    });
    CHECK(said.find("spawn on a task group that has ended") != std::string::npos);
  }

  TEST_CASE("a group that goes before its tasks ends the program with the name of one") {
    const std::string said = tests::dying_words([] {
      run([]() -> task<> {
        std::atomic<int> cancels{0};
        auto body = [&](task_group& g) -> task<> {
          g.spawn(sleep_until_cancelled, std::ref(cancels));
          co_await yield();
          std::destroy_at(&g);  // as a frame does that is destroyed in the middle
        };
        co_await with_task_group(body);
      }());
    });
    CHECK(said.find("task_group_test.cpp:") != std::string::npos);
    CHECK(said.find("sleep_until_cancelled") != std::string::npos);
    CHECK(said.find("was destroyed before its children had ended: join it first") !=
          std::string::npos);
  }

  TEST_CASE("a cancel that reaches a task first by the sibling that it awaits is absorbed") {
    // Inner groups hear of a cancel after the strands of the outer one: the sibling has ended
    // before the task that waits for it, two groups further in, is visited.
    on_both([](const run_options& options) {
      bool ended_normally = false;
      run(options, [](bool& ended) -> task<> {
        std::optional<join_handle<void>> sleeping;  // outlives the group, as what children refer to
        auto outer = [&sleeping](task_group& g) -> task<> {
          const auto sleeper = []() -> task<> { co_await sleep_for(1h); };
          sleeping = g.spawn(sleeper);
          const auto waits_inside = [&sleeping]() -> task<> {
            auto inner = [&sleeping](task_group& h) -> task<> {
              const auto waiter = [&sleeping]() -> task<> { co_await *sleeping; };
              h.spawn(waiter);
              co_await sleep_for(1h);
            };
            co_await with_task_group(inner);
          };
          g.spawn(waits_inside);
          co_await sleep_for(1ms);
          g.cancel();
          co_await sleep_for(1h);
        };
        co_await with_task_group(outer);
        ended = true;
      }(ended_normally));
      CHECK(ended_normally);
    });
  }

  TEST_CASE("a cancel from outside passes through groups that it has not reached yet") {
    // As above, on one strand: the body of the innermost group is cut off by way of the sibling,
    // before the group around it has heard of the stop.
    on_both([](const run_options& options) {
      int ended_normally = 0;
      run(options, [](int& count) -> task<> {
        std::optional<join_handle<void>> sibling;
        event begin;
        auto outer = [&](task_group& g) -> task<> {
          const auto works = [&]() -> task<> {
            co_await begin.wait();
            for (;;) co_await yield();
          };
          sibling = g.spawn(works);
          const auto waits_inside = [&]() -> task<> {
            auto innermost = [&](task_group&) -> task<> { co_await *sibling; };
            auto middle = [&](task_group&) -> task<> {
              co_await with_task_group(innermost);
              ++count;
            };
            co_await with_task_group(middle);
            ++count;
          };
          g.spawn(waits_inside);
          co_await sleep_for(1ms);
          begin.set();
          co_await yield();
          g.cancel();
          co_await sleep_for(1h);
        };
        co_await with_task_group(outer);
      }(ended_normally));
      CHECK(ended_normally == 0);
    });
  }

  TEST_CASE("a cancel from outside passes through a group whose children alone it has cut off") {
    on_both([](const run_options& options) {
      int went_on = 0;
      int absorbed = 0;
      run(options, [](int& on, int& own) -> task<> {
        auto outer = [&](task_group& g) -> task<> {
          auto works = [&]() -> task<> {
            auto all = [](task_group& h) -> task<int> {
              h.spawn([]() -> task<> { co_await sleep_for(1h); });
              co_return 1;  // that is not all of the group's work
            };
            (void)co_await with_task_group(all);
            ++on;
          };
          auto stops_itself = [&]() -> task<> {
            auto all = [](task_group& h) -> task<int> {
              h.spawn([]() -> task<> { co_await sleep_for(1h); });
              h.cancel();
              co_return 1;
            };
            own += co_await with_task_group(all);
          };
          g.spawn(works);
          const auto absorbing = g.spawn(stops_itself);
          co_await sleep_for(1ms);
          while (!absorbing.done()) co_await yield();
          g.cancel();
        };
        co_await with_task_group(outer);
      }(went_on, absorbed));
      CHECK(went_on == 0);
      CHECK(absorbed == 1);
    });
  }

  TEST_CASE("on a pool a cancel takes effect while the task that asked for it computes") {
    const tests::nothing_left_behind guard;
    std::atomic<int> cancels = 0;
    bool seen = false;
    run({.workers = 2}, [](std::atomic<int>& n, bool& done) -> task<> {
      event never;
      const auto wait_for_ever = [&]() -> task<> {
        const result<void> r = co_await as_result(never.wait());
        if (!r) ++n;
      };
      auto body = [&](task_group& g) -> task<> {
        g.spawn(wait_for_ever);
        co_await sleep_for(1ms);
        g.cancel();
        const auto give_up = std::chrono::steady_clock::now() + 60s;
        while (n == 0 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
        done = n == 1;
      };
      co_await with_task_group(body);
    }(cancels, seen));
    CHECK(seen);
  }

  TEST_CASE("a body that cannot be copied is referred to with std::ref") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto body = [p = std::make_unique<int>(5)](task_group&) -> task<int> { co_return *p; };
        const int five = co_await with_task_group(std::ref(body));
        CHECK(five == 5);
      }());
    });
  }
}

}  // namespace task_group_test

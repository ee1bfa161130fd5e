// SPDX-License-Identifier: MIT
#include "weft/runtime/when_all.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/small_range.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace when_all_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::on_both;

namespace {

task<int> number(int n) { co_return n; }

task<int> number_after_yields(int n, int yields) {
  for (int i = 0; i < yields; ++i) {
    co_await yield();
  }
  co_return n;
}

task<> count_up(std::atomic<int>& n) {
  ++n;
  co_return;
}

task<int> fail(std::string what, int yields = 0) {
  for (int i = 0; i < yields; ++i) {
    co_await yield();
  }
  throw std::runtime_error(what);
  co_return 0;
}

task<int> fib(int n) {
  if (n < 2) {
    co_return n;
  }
  auto [x, y] = co_await when_all(fib(n - 1), fib(n - 2));
  co_return x + y;
}

}  // namespace

TEST_SUITE("runtime/when_all") {
  TEST_CASE("when_all gives the values in the order of its arguments, whoever ends first") {
    on_both([](const run_options& options) {
      const auto [a, b, c] = run(options, []() -> task<std::tuple<int, int, int>> {
        auto all =
            co_await when_all(number_after_yields(1, 5), number(2), number_after_yields(3, 2));
        co_return all;
      }());
      CHECK(a == 1);
      CHECK(b == 2);
      CHECK(c == 3);
    });
  }

  TEST_CASE("void arguments give a monostate") {
    on_both([](const run_options& options) {
      std::atomic<int> n = 0;
      run(options, [](std::atomic<int>& k) -> task<> {
        std::tuple<std::monostate, int> both = co_await when_all(count_up(k), number(7));
        CHECK(std::get<1>(both) == 7);
        co_await when_all(count_up(k));
      }(n));
      CHECK(n == 2);
    });
  }

  TEST_CASE("references and move-only values come out as they went in") {
    on_both([](const run_options& options) {
      int n = 1;
      run(options, [](int& k) -> task<> {
        auto refer = [](int& r) -> task<int&> { co_return r; };
        auto box = [](int v) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(v); };
        std::tuple<int&, std::unique_ptr<int>> both = co_await when_all(refer(k), box(2));
        std::get<0>(both) = 5;
        CHECK(*std::get<1>(both) == 2);
      }(n));
      CHECK(n == 5);
    });
  }

  TEST_CASE("a vector of tasks gives a vector of their values in order") {
    on_both([](const run_options& options) {
      const std::vector<int> values = run(options, []() -> task<std::vector<int>> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 1000; ++i) {
          tasks.push_back(number_after_yields(i, i % 3));
        }
        std::vector<int> all = co_await when_all(std::move(tasks));
        co_return all;
      }());
      REQUIRE(values.size() == 1000);
      for (int i = 0; i < 1000; ++i) {
        REQUIRE(values[static_cast<std::size_t>(i)] == i);
      }
    });
  }

  TEST_CASE("a small_range of tasks gives a small_range of their values in order") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        small_range<task<std::unique_ptr<int>>, 4> tasks;
        auto box = [](int v) -> task<std::unique_ptr<int>> {
          co_await yield();
          co_return std::make_unique<int>(v);
        };
        for (int i = 0; i < 3; ++i) tasks.push_back(box(i));
        const auto values = co_await when_all(std::move(tasks));
        CHECK(values.size() == 3);
        for (std::size_t i = 0; i < values.size(); ++i) CHECK(*values[i] == static_cast<int>(i));
      }());
    });
  }

  TEST_CASE("an empty small_range, and one of void tasks") {
    on_both([](const run_options& options) {
      std::atomic<int> n = 0;
      run(options, [](std::atomic<int>& k) -> task<> {
        small_range<task<>, 8> tasks;
        co_await when_all(small_range<task<>, 8>());
        for (int i = 0; i < 8; ++i) tasks.push_back(count_up(k));
        co_await when_all(std::move(tasks));
      }(n));
      CHECK(n == 8);
    });
  }

  TEST_CASE("a vector of void tasks is awaited as a whole") {
    on_both([](const run_options& options) {
      std::atomic<int> n = 0;
      run(options, [](std::atomic<int>& k) -> task<> {
        std::vector<task<>> tasks;
        for (int i = 0; i < 100; ++i) {
          tasks.push_back(count_up(k));
        }
        co_await when_all(std::move(tasks));
        CHECK(k == 100);
      }(n));
    });
  }

  TEST_CASE("an array of tasks gives an array") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::array<task<int>, 3> tasks{number(1), number(2), number(3)};
        const std::array<int, 3> values = co_await when_all(std::move(tasks));
        CHECK(values == std::array<int, 3>{1, 2, 3});
      }());
    });
  }

  TEST_CASE("nothing at all is ready at once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::tuple<> none = co_await when_all();
        (void)none;
        std::vector<task<int>> no_tasks;
        const std::vector<int> no_values = co_await when_all(std::move(no_tasks));
        CHECK(no_values.empty());
        std::vector<task<>> no_void_tasks;
        co_await when_all(std::move(no_void_tasks));
      }());
    });
  }

  TEST_CASE(
      "the failure of the first argument that failed is thrown, not the one that came first") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::string what;
        try {
          (void)co_await when_all(number(1), fail("second argument", 5), fail("third argument"));
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "second argument");
      }());
    });
  }

  TEST_CASE("a failure does not keep when_all from awaiting the others") {
    on_both([](const run_options& options) {
      bool ended = false;
      run(options, [](bool& flag) -> task<> {
        auto slow = [](bool& f) -> task<> {
          co_await sleep_for(5ms);
          f = true;
        };
        try {
          (void)co_await when_all(fail("early"), slow(flag));
        } catch (const std::runtime_error&) {
          CHECK(flag);
        }
      }(ended));
      CHECK(ended);
    });
  }

  TEST_CASE("a failure in a vector of tasks is thrown when all have ended") {
    on_both([](const run_options& options) {
      std::atomic<int> n = 0;
      run(options, [](std::atomic<int>& k) -> task<> {
        std::vector<task<>> tasks;
        for (int i = 0; i < 10; ++i) {
          tasks.push_back([](std::atomic<int>& c, int me) -> task<> {
            co_await yield();
            ++c;
            if (me % 2 == 1) throw std::runtime_error(std::to_string(me));
          }(k, i));
        }
        std::string what;
        try {
          co_await when_all(std::move(tasks));
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "1");
      }(n));
      CHECK(n == 10);
    });
  }

  TEST_CASE("operations and join handles are arguments like tasks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto [tx, rx] = channel<int>(0);
        event gate;
        auto body = [&, tx, rx](task_group& g) -> task<> {
          join_handle<int> h = g.spawn(
              [](event& e) -> task<int> {
                co_await e.wait();
                co_return 4;
              },
              std::ref(gate));
          auto open = [](event& e) -> task<> {
            e.set();
            co_return;
          };
          auto all =
              co_await when_all(sleep_for(1ms), rx.receive(), tx.send(3), std::move(h), open(gate));
          CHECK(std::get<1>(all) == 3);
          CHECK(std::get<3>(all) == 4);
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("fork and join all the way down gives the Fibonacci number") {
    on_both([](const run_options& options) { CHECK(run(options, fib(16)) == 987); });
    const run_options four{.workers = 4};
    CHECK(run(four, fib(16)) == 987);
  }

  TEST_CASE("values and frames of all arguments are destroyed, also when one fails") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto make = [](counted c) -> task<counted> { co_return c; };
        auto make_and_fail = [](counted) -> task<counted> {
          throw std::runtime_error("no value");
          co_return counted(0);
        };
        {
          auto both = co_await when_all(make(counted(1)), make(counted(2)));
          CHECK(std::get<1>(both).number == 2);
        }
        CHECK(counted::alive() == 0);
        try {
          (void)co_await when_all(make(counted(1)), make_and_fail(counted(2)));
        } catch (const std::runtime_error&) {}
        CHECK(counted::alive() == 0);
      }());
    });
  }

  TEST_CASE("a when_all that is never awaited starts nothing and leaks nothing") {
    std::atomic<int> n = 0;
    { const auto idle = when_all(count_up(n), count_up(n)); }
    CHECK(n == 0);
  }

  TEST_CASE("a stop reaches the arguments, and the cancel goes on through when_all") {
    on_both([](const run_options& options) {
      std::atomic<int> cancels = 0;
      run(options, [](std::atomic<int>& n) -> task<> {
        auto sleeper = [](std::atomic<int>& k) -> task<> {
          try {
            co_await sleep_for(1h);
          } catch (const cancelled&) {
            ++k;
            throw;
          }
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(
              [](task_group& group) -> task<> {
                co_await yield();
                group.cancel();
              },
              std::ref(g));
          co_await when_all(sleeper(n), sleeper(n), sleeper(n));
        };
        co_await with_task_group(body);
      }(cancels));
      CHECK(cancels == 3);
    });
  }

  TEST_CASE("a range whose tasks are stopped half-way: all unwind, and no value is lost or left") {
    on_both([](const run_options& options) {
      constexpr int many = 16;
      std::atomic<int> made = 0;
      std::atomic<int> stopped = 0;
      auto half = [&]() -> task<> {
        event never;
        auto child = [&](counted luggage, task_group& g) -> task<counted> {
          if (luggage.number % 2 == 0) {
            co_await yield();
            if (++made == many / 2) g.cancel();  // the other half waits
            co_return luggage;
          }
          try {
            co_await never.wait();
          } catch (const cancelled&) {
            ++stopped;
            throw;
          }
          co_return luggage;
        };
        auto in_small_range = [&](task_group& g) -> task<> {
          small_range<task<counted>, many> tasks;
          for (int i = 0; i < many; ++i) tasks.push_back(child(counted(i), g));
          co_await when_all(std::move(tasks));
        };
        co_await with_task_group(in_small_range);
        CHECK(made == many / 2);
        CHECK(stopped == many / 2);
        CHECK(counted::alive() == 0);
        auto in_vector = [&](task_group& g) -> task<> {
          std::vector<task<counted>> tasks;
          for (int i = 0; i < many; ++i) tasks.push_back(child(counted(i), g));
          co_await when_all(std::move(tasks));
        };
        made = 0;
        co_await with_task_group(in_vector);
        CHECK(made == many / 2);
        CHECK(stopped == many);
        CHECK(counted::alive() == 0);
      };
      run(options, half());
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("an argument's failure wins over the cancels of the arguments before it") {
    on_both([](const run_options& options) {
      CHECK_THROWS_WITH_AS(run(options,
                               []() -> task<> {
                                 auto sleeper = []() -> task<> { co_await sleep_for(1h); };
                                 auto fails = []() -> task<> {
                                   try {
                                     co_await sleep_for(1h);
                                   } catch (const cancelled&) {
                                     throw std::runtime_error("clean-up failed");
                                   }
                                 };
                                 auto body = [&](task_group& g) -> task<> {
                                   g.spawn(
                                       [](task_group& group) -> task<> {
                                         co_await yield();
                                         group.cancel();
                                       },
                                       std::ref(g));
                                   co_await when_all(sleeper(), fails());
                                 };
                                 co_await with_task_group(body);
                               }()),
                           "clean-up failed", std::runtime_error);
    });
  }

  TEST_CASE("a channel's end that was moved into an argument stays open until it is closed") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        bool open_after_the_end = false;
        auto produce = [](channel_sender<int> tx, bool close) -> task<> {
          co_await tx.send(1);
          if (close) tx.close();
        };
        auto consume = [](channel_receiver<int> rx) -> task<int> {
          int sum = 0;
          while (std::optional<int> n = co_await rx.receive()) sum += *n;
          co_return sum;
        };
        auto look = [](channel_receiver<int> rx, bool& open) -> task<> {
          (void)co_await rx.receive();
          event never;
          auto wait = [&](task_group& g) -> task<> {
            g.spawn([&]() -> task<> {
              (void)co_await rx.receive();
              never.set();
            });
            for (int i = 0; i < 100; ++i) {
              co_await yield();
            }
            open = !never.is_set();
            g.cancel();
          };
          co_await with_task_group(wait);
        };
        auto [tx, rx] = channel<int>(4);
        const auto both = co_await when_all(produce(std::move(tx), true), consume(std::move(rx)));
        CHECK(std::get<1>(both) == 1);
        auto [left, right] = channel<int>(4);
        co_await when_all(produce(std::move(left), false),
                          look(std::move(right), open_after_the_end));
        CHECK(open_after_the_end);
      }());
    });
  }
}

}  // namespace when_all_test

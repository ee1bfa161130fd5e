// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_for.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/parallel_for_each.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace parallel_for_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

/// Computes for about as long, without a system call that could give way.
void spin(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {}
}

bool all_are(const std::vector<int>& counts, int expected) {
  return std::all_of(counts.begin(), counts.end(), [&](int n) { return n == expected; });
}

}  // namespace

TEST_SUITE("sched/parallel_for") {
  TEST_CASE("each iteration runs once, for every length and grain") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 7, 64, 1'000'000}) {
          for (const int n : {0, 1, 2, 3, 8, 9, 63, 64, 65, 1000, 20'000}) {
            std::vector<int> counts(static_cast<std::size_t>(n));
            co_await parallel_for(0, n, [&](int i) { ++counts[static_cast<std::size_t>(i)]; },
                                  {.grain = grain});
            CHECK(all_are(counts, 1));
          }
        }
      }());
    });
  }

  TEST_CASE("a long loop is divided, and each iteration runs once all the same") {
    on_both([](const run_options& options) {
      constexpr int n = 3'000'000;
      std::vector<int> counts(n);
      run(options, [](std::vector<int>& all) -> task<> {
        int* const first = all.data();
        for (int round = 0; round < 3; ++round) {
          co_await parallel_for(0, n, [=](int i) { first[i] += 1; });
        }
      }(counts));
      CHECK(all_are(counts, 3));
    });
  }

  TEST_CASE("an empty or reversed range runs nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> calls = 0;
        co_await parallel_for(5, 5, [&](int) { ++calls; });
        co_await parallel_for(5, -5, [&](int) { ++calls; });
        co_await parallel_for(7u, 2u, [&](unsigned) { ++calls; }, {.grain = 1});
        CHECK(calls == 0);
      }());
    });
  }

  TEST_CASE("indices of every width count from end to end without wrapping") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<std::int64_t> sum = 0;
        using bytes = std::numeric_limits<signed char>;
        co_await parallel_for(bytes::min(), bytes::max(), [&](signed char i) { sum += i; },
                              {.grain = 1});
        CHECK(sum == -128 - 127);
        std::atomic<int> calls = 0;
        co_await parallel_for(std::numeric_limits<std::int64_t>::min(),
                              std::numeric_limits<std::int64_t>::min() + 100,
                              [&](std::int64_t) { ++calls; });
        co_await parallel_for(std::numeric_limits<std::uint64_t>::max() - 100,
                              std::numeric_limits<std::uint64_t>::max(),
                              [&](std::uint64_t) { ++calls; }, {.grain = 9});
        CHECK(calls == 200);
      }());
    });
  }

  TEST_CASE("the points of grids run once each") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 5, 1000}) {
          std::vector<int> line(40);
          co_await parallel_for(index_space(40),
                                [&](std::ptrdiff_t x) { ++line[static_cast<std::size_t>(x)]; },
                                {.grain = grain});
          CHECK(all_are(line, 1));
          std::vector<int> plane(30 * 70);
          const index_space inner(index_range{1, 29}, index_range{2, 70});
          co_await parallel_for(inner,
                                [&](std::ptrdiff_t y, std::ptrdiff_t x) {
                                  ++plane[static_cast<std::size_t>(y * 70 + x)];
                                },
                                {.grain = grain});
          for (int y = 0; y < 30; ++y) {
            for (int x = 0; x < 70; ++x) {
              const bool inside = y >= 1 && y < 29 && x >= 2;
              REQUIRE(plane[static_cast<std::size_t>(y * 70 + x)] == (inside ? 1 : 0));
            }
          }
          std::vector<int> cube(7 * 11 * 13);
          co_await parallel_for(index_space(7, 11, 13),
                                [&](std::ptrdiff_t z, std::ptrdiff_t y, std::ptrdiff_t x) {
                                  ++cube[static_cast<std::size_t>((z * 11 + y) * 13 + x)];
                                },
                                {.grain = grain});
          CHECK(all_are(cube, 1));
        }
        int calls = 0;
        co_await parallel_for(index_space(5, 0), [&](std::ptrdiff_t, std::ptrdiff_t) { ++calls; });
        co_await parallel_for(index_space(index_range{4, 2}, 3, 3),
                              [&](std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t) { ++calls; });
        CHECK(calls == 0);
      }());
    });
  }

  TEST_CASE("an event loop runs the iterations in order") {
    const tests::nothing_left_behind guard;
    run([]() -> task<> {
      std::vector<int> order;
      co_await parallel_for(0, 5000, [&](int i) { order.push_back(i); }, {.grain = 3});
      CHECK(std::is_sorted(order.begin(), order.end()));
      CHECK(order.size() == 5000);
    }());
  }

  TEST_CASE("with a grain of one a few long iterations are shared") {
    const tests::nothing_left_behind guard;
    run({.workers = 2}, []() -> task<> {
      std::atomic<int> arrived = 0;
      co_await parallel_for(0, 2,
                            [&](int) {
                              ++arrived;
                              while (arrived.load() < 2)
                                std::this_thread::yield();  // ends only side by side
                            },
                            {.grain = 1});
      CHECK(arrived == 2);
    }());
  }

  TEST_CASE("whichever worker starts a loop, each works on its own share of the range") {
    const tests::nothing_left_behind guard;
    run({.workers = 2}, []() -> task<> {
      const auto here = [] { return detail::current_worker()->index; };
      std::array<int, 2> started = {};
      for (unsigned round = 0; started[0] < 10 || started[1] < 10; ++round) {
        ++started[here()];
        std::atomic<int> arrived = 0;
        std::array<unsigned, 2> worked = {};
        const auto body = [&](std::size_t i) {
          worked[i] = here();
          ++arrived;
          while (arrived.load() < 2) std::this_thread::yield();
          if (here() == round % 2) spin(100us);  // who ends last starts the next loop
        };
        co_await parallel_for(std::size_t{0}, std::size_t{2}, body, {.grain = 1});
        CHECK(worked == std::array{0U, 1U});
      }
    }());
  }

  TEST_CASE("a body that turns out to be slow is shared without being told") {
    const tests::nothing_left_behind guard;
    run({.workers = 2}, []() -> task<> {
      // How many run before the others may come: of many one tells enough, of few it takes three.
      for (const auto [count, alone] : {std::array{20, 3}, std::array{100, 1}}) {
        std::atomic<int> arrived = 0;
        const auto body = [&](int i) {
          spin(100us);
          if (i < alone) return;
          ++arrived;
          while (arrived.load() < 2) std::this_thread::yield();  // ends only side by side
        };
        co_await parallel_for(0, count, body);
        CHECK(arrived == count - alone);
      }
    }());
  }

  TEST_CASE("a body may return a task, which is awaited") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> counts(300);
        co_await parallel_for(0, 300, [&](int i) -> task<> {
          co_await yield();
          if (i % 50 == 0) co_await sleep_for(1us);
          ++counts[static_cast<std::size_t>(i)];
        });
        CHECK(all_are(counts, 1));
      }());
    });
  }

  TEST_CASE("parallel_for_each gives the elements of ranges, iterators and views") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<std::unique_ptr<int>> boxes;
        for (int i = 0; i < 500; ++i) boxes.push_back(std::make_unique<int>(i));
        co_await parallel_for_each(boxes, [](std::unique_ptr<int>& box) { *box += 1; });
        co_await parallel_for_each(boxes.begin(), boxes.end(), [](auto& box) { *box += 1; },
                                   {.grain = 10});
        for (int i = 0; i < 500; ++i) REQUIRE(*boxes[static_cast<std::size_t>(i)] == i + 2);
        std::deque<int> numbers(70, 1);
        co_await parallel_for_each(numbers, [](int& n) -> task<> {
          co_await yield();
          n = 2;
        });
        CHECK(std::accumulate(numbers.begin(), numbers.end(), 0) == 140);
        std::array<int, 4> few{1, 2, 3, 4};
        co_await parallel_for_each(std::span<int>(few), [](int& n) { n *= 2; });
        CHECK(few == std::array<int, 4>{2, 4, 6, 8});
        const std::vector<int> none;
        co_await parallel_for_each(none, [](const int&) { std::abort(); });
      }());
    });
  }

  TEST_CASE("the first exception ends the loop early and is rethrown") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 100}) {
          std::atomic<int> ran = 0;
          std::string what;
          try {
            co_await parallel_for(0, 1'000'000,
                                  [&](int i) {
                                    ++ran;
                                    spin(1us);
                                    if (i == 50) throw std::runtime_error("fifty");
                                  },
                                  {.grain = grain});
          } catch (const std::runtime_error& e) {
            what = e.what();
          }
          CHECK(what == "fifty");
          CHECK(ran < 1'000'000);
          what.clear();
          try {
            co_await parallel_for(0, 3, [](int) { throw std::runtime_error("at once"); },
                                  {.grain = grain});
          } catch (const std::runtime_error& e) {
            what = e.what();
          }
          CHECK(what == "at once");
        }
      }());
    });
  }

  TEST_CASE("an exception cancels the tasks of other iterations where they wait") {
    const tests::nothing_left_behind guard;
    run({.workers = 2}, []() -> task<> {
      event never;
      event begun;
      std::atomic<int> cancelled_ones = 0;
      std::string what;
      auto body = [&](int i) -> task<> {
        if (i == 0) {
          begun.set();
          try {
            co_await never.wait();
          } catch (const cancelled&) {
            ++cancelled_ones;
            throw;
          }
        } else {
          co_await begun.wait();
          throw std::runtime_error("the other");
        }
      };
      try {
        co_await parallel_for(0, 2, body);
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      CHECK(what == "the other");
      CHECK(cancelled_ones == 1);
    }());
  }

  TEST_CASE("a deadline stops a loop of plain calls between two chunks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> ran = 0;
        auto body = [&](int) {
          ++ran;
          spin(1us);
        };
        const tests::caught c =
            co_await tests::catching(with_timeout(2ms, parallel_for(0, 1'000'000'000, body)));
        CHECK(c.was_timeout);
        CHECK(ran > 0);
        CHECK(ran < 1'000'000'000);
      }());
    });
  }

  TEST_CASE("a cancelled group stops the loops of its children") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> stopped = 0;
        auto child = [&]() -> task<> {
          try {
            co_await parallel_for(0, 1'000'000'000, [](int) { spin(1us); });
          } catch (const cancelled&) {
            ++stopped;
            throw;
          }
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(std::ref(child));
          g.spawn(std::ref(child));
          co_await sleep_for(1ms);
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(stopped == 2);
      }());
    });
  }

  TEST_CASE("under a stopped scope nothing is run") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<int> ran = 0;
        std::atomic<int> refused = 0;
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          auto r = co_await as_result(parallel_for(0, 3, [&](int) { ++ran; }));
          if (!r && r.error() == std::errc::operation_canceled) ++refused;
          auto empty = co_await as_result(parallel_for(0, 0, [&](int) { ++ran; }));
          if (!empty) ++refused;
          const tests::caught c = co_await tests::catching(parallel_for(0, 3, [&](int) -> task<> {
            ++ran;
            co_return;
          }));
          if (c.was_cancelled) ++refused;
        };
        co_await with_task_group(body);
        CHECK(ran == 0);
        CHECK(refused == 3);
      }());
    });
  }

  TEST_CASE("loops run inside loops and beside each other") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> counts(40 * 3000);
        auto rows = [&](int y) -> task<> {
          auto columns = [&, y](int x) { ++counts[static_cast<std::size_t>(y * 3000 + x)]; };
          co_await parallel_for(0, 3000, columns, {.grain = 100});
        };
        co_await when_all(parallel_for(0, 20, rows), parallel_for(20, 40, rows));
        CHECK(all_are(counts, 1));
      }());
    });
  }

  TEST_CASE("a loop that computes lets timers and woken tasks have their turn") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::atomic<bool> rang = false;
        std::atomic<int> turns = 0;
        auto body = [&](task_group& g) -> task<> {
          auto other = [&]() -> task<> {
            co_await sleep_for(1ms);
            for (int i = 0; i < 10; ++i) {
              ++turns;
              co_await yield();
            }
            rang = true;
          };
          g.spawn(std::ref(other));
          // Ends only when the others have had theirs.
          auto computing = [&]() -> task<> {
            while (!rang) {
              co_await parallel_for(0, 2000, [](int) { spin(1us); });
            }
          };
          co_await when_all(computing(), computing());
          const int before = turns;
          CHECK(before == 10);
          rang = false;
          g.spawn(std::ref(other));
          co_await parallel_for(0, 20'000'000,
                                [&](int) {
                                  if (rang.load()) return;
                                  spin(1us);
                                },
                                {.grain = 1});
        };
        co_await with_task_group(body);
        CHECK(turns == 20);
      }());
    });
  }

  TEST_CASE("a named body is copied, whatever it holds, unless it is given by std::ref") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> counts(2000);
        auto step = std::make_shared<int>(2);
        auto body = [&counts, step](int i) { counts[static_cast<std::size_t>(i)] += *step; };
        co_await parallel_for(0, 2000, body, {.grain = 50});
        co_await parallel_for(0, 2000, std::ref(body));
        CHECK(all_are(counts, 4));
        CHECK(step.use_count() == 2);
      }());
    });
  }
}

}  // namespace parallel_for_test

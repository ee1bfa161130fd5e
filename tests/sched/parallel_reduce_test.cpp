// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_reduce.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace parallel_reduce_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

/// Neighbours that were combined in order: anything else makes it invalid.
struct interval_of {
  std::int64_t first = 0;
  std::int64_t last = 0;  // one after it
};
interval_of joined(interval_of a, interval_of b) {
  if (a.last != b.first) throw std::logic_error("out of order");
  return {a.first, b.last};
}

std::vector<double> wild_numbers(std::size_t count) {
  std::vector<double> all(count);
  std::uint64_t state = 1;
  for (double& x : all) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = static_cast<double>(static_cast<std::int64_t>(state)) * 1e-9;
  }
  return all;
}

task<double> sum_of(const std::vector<double>& all, std::size_t grain) {
  const double sum = co_await parallel_reduce(all, 0.5, std::plus<>(), {.grain = grain});
  co_return sum;
}

}  // namespace

TEST_SUITE("sched/parallel_reduce") {
  TEST_CASE("every element is combined once, with its neighbours, for every length and grain") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 3, 64, 1'000'000}) {
          for (const int n : {1, 2, 3, 31, 32, 33, 64, 65, 97, 1000, 30'000}) {
            auto single = [](int i) { return interval_of{i, i + 1}; };
            const interval_of all =
                co_await parallel_reduce(0, n, interval_of{0, 0}, single, joined, {.grain = grain});
            CHECK(all.first == 0);
            CHECK(all.last == n);
          }
        }
      }());
    });
  }

  TEST_CASE("without elements the result is init") {
    on_both([](const run_options& options) {
      const int none = run(options, []() -> task<int> {
        const int n = co_await parallel_reduce(3, 3, 7, [](int i) { return i; }, std::plus<>());
        const std::vector<int> empty;
        const int m = co_await parallel_reduce(empty, n, std::plus<>());
        co_return m;
      }());
      CHECK(none == 7);
    });
  }

  TEST_CASE("a sum of doubles is the same for any number of workers, bit by bit") {
    const std::vector<double> all = wild_numbers(1'000'003);
    for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 1000}) {
      const double expected = run(sum_of(all, grain));
      for (const unsigned workers : {2u, 3u, 5u}) {
        for (int round = 0; round < 5; ++round) {
          const double sum = run({.workers = workers}, sum_of(all, grain));
          CHECK(std::bit_cast<std::uint64_t>(sum) == std::bit_cast<std::uint64_t>(expected));
        }
      }
    }
  }

  TEST_CASE("ranges, iterators and grids, with and without a map") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<std::int64_t> all(5000, 2);
        auto twice = [](std::int64_t n) { return n * 2; };
        const auto a = co_await parallel_reduce(all, std::int64_t{1}, std::plus<>());
        const auto b = co_await parallel_reduce(all, std::int64_t{1}, twice, std::plus<>());
        const auto c =
            co_await parallel_reduce(all.begin(), all.end(), std::int64_t{1}, std::plus<>());
        const auto d = co_await parallel_reduce(all.data(), all.data() + 10, std::int64_t{1}, twice,
                                                std::plus<>());
        CHECK(a == 10'001);
        CHECK(b == 20'001);
        CHECK(c == 10'001);
        CHECK(d == 41);
        auto product = [](std::ptrdiff_t y, std::ptrdiff_t x) { return y * x; };
        const auto e = co_await parallel_reduce(index_space(100, 200), std::ptrdiff_t{0}, product,
                                                std::plus<>());
        CHECK(e == 4950 * 19900);
        const auto options_by_name = parallel_options{.grain = 10};
        const auto f =
            co_await parallel_reduce(all, std::int64_t{0}, std::plus<>(), options_by_name);
        CHECK(f == 10'000);
      }());
    });
  }

  TEST_CASE("values that only move, and long ones, are combined in order") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto letter = [](int i) { return std::string(1, static_cast<char>('a' + i % 26)); };
        auto append = [](std::string a, const std::string& b) { return std::move(a) + b; };
        const std::string text =
            co_await parallel_reduce(0, 520, std::string("> "), letter, append, {.grain = 1});
        std::string expected = "> ";
        for (int i = 0; i < 520; ++i) expected += static_cast<char>('a' + i % 26);
        CHECK(text == expected);
        auto box = [](int i) { return std::make_unique<int>(i); };
        auto add = [](std::unique_ptr<int> a, std::unique_ptr<int> b) {
          *a += *b;
          return a;
        };
        const std::unique_ptr<int> sum =
            co_await parallel_reduce(0, 1000, std::make_unique<int>(1), box, add, {.grain = 7});
        CHECK(*sum == 499'501);
      }());
    });
  }

  TEST_CASE("map may return a task") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto single = [](int i) -> task<interval_of> {
          if (i % 7 == 0) co_await yield();
          co_return interval_of{i, i + 1};
        };
        const interval_of all = co_await parallel_reduce(0, 999, interval_of{0, 0}, single, joined);
        CHECK(all.last == 999);
      }());
    });
  }

  TEST_CASE("an exception of map or op is rethrown, and what was gathered is destroyed") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::string what;
        auto map = [](int i) {
          if (i == 70'000) throw std::runtime_error("map");
          return std::make_shared<int>(i);
        };
        auto op = [](std::shared_ptr<int> a, const std::shared_ptr<int>&) { return a; };
        try {
          (void)co_await parallel_reduce(0, 100'000, std::make_shared<int>(0), map, op);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "map");
        auto bad = [](int a, int b) -> int {
          if (b > 5) throw std::runtime_error("op");
          return a;
        };
        try {
          (void)co_await parallel_reduce(0, 10, 0, [](int i) { return i; }, bad);
        } catch (const std::runtime_error& e) {
          what = e.what();
        }
        CHECK(what == "op");
      }());
    });
  }

  TEST_CASE("a deadline stops it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        auto slow = [](std::int64_t i) {
          const auto end = std::chrono::steady_clock::now() + 1us;
          while (std::chrono::steady_clock::now() < end) {}
          return i;
        };
        const tests::caught c = co_await tests::catching(with_timeout(
            1ms, parallel_reduce(0, std::int64_t{1} << 31, std::int64_t{0}, slow, std::plus<>())));
        CHECK(c.was_timeout);
      }());
    });
  }
}

}  // namespace parallel_reduce_test

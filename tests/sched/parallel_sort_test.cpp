// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_sort.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace parallel_sort_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

class random_numbers {
public:
  std::uint64_t operator()() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 24;
  }

private:
  std::uint64_t state_ = 1;
};

/// `kinds` different values, in an order that is not one.
std::vector<int> some_numbers(std::size_t count, std::uint64_t kinds) {
  random_numbers random;
  std::vector<int> all(count);
  for (int& n : all) n = static_cast<int>(random() % kinds);
  return all;
}

constexpr std::initializer_list<std::size_t> lengths = {0, 1, 2, 3, 17, 2048, 2049, 5000, 100'000};

struct card {
  int key;
  int place;
  bool operator==(const card&) const = default;
};

}  // namespace

TEST_SUITE("sched/parallel_sort") {
  TEST_CASE("numbers come out in order, however many there are and however alike") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t n : lengths) {
          for (const std::uint64_t kinds :
               std::initializer_list<std::uint64_t>{1, 2, 10, 1'000'000'000}) {
            std::vector<int> all = some_numbers(n, kinds);
            std::vector<int> expected = all;
            std::sort(expected.begin(), expected.end());
            std::vector<int> stable = all;
            co_await parallel_sort(all);
            CHECK(all == expected);
            co_await parallel_stable_sort(stable.begin(), stable.end());
            CHECK(stable == expected);
          }
        }
      }());
    });
  }

  TEST_CASE("a long range is sorted by several workers") {
    const tests::nothing_left_behind guard;
    run({.workers = 3}, []() -> task<> {
      for (int round = 0; round < 5; ++round) {
        std::vector<int> all = some_numbers(1'000'000, 1'000'000'000);
        std::vector<int> stable = all;
        std::vector<int> expected = all;
        std::sort(expected.begin(), expected.end());
        co_await parallel_sort(all);
        CHECK(all == expected);
        co_await parallel_stable_sort(stable);
        CHECK(stable == expected);
      }
    }());
  }

  TEST_CASE("patterns that spoil pivots") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        constexpr int n = 200'000;
        std::vector<std::vector<int>> patterns(5, std::vector<int>(n));
        for (int i = 0; i < n; ++i) {
          const auto k = static_cast<std::size_t>(i);
          patterns[0][k] = i;
          patterns[1][k] = n - i;
          patterns[2][k] = i < n / 2 ? i : n - i;
          patterns[3][k] = i % 1000;
          patterns[4][k] = i == n / 2 ? -1 : i;
        }
        for (std::vector<int>& all : patterns) {
          std::vector<int> expected = all;
          std::sort(expected.begin(), expected.end());
          co_await parallel_sort(all);
          CHECK(all == expected);
        }
      }());
    });
  }

  TEST_CASE("a stable sort keeps the order of equal elements") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<card> all;
        int place = 0;
        for (const int key : some_numbers(300'000, 50)) all.push_back({key, place++});
        auto by_key = [](const card& a, const card& b) { return a.key < b.key; };
        std::vector<card> expected = all;
        std::sort(expected.begin(), expected.end(), [](const card& a, const card& b) {
          return a.key != b.key ? a.key < b.key : a.place < b.place;
        });
        co_await parallel_stable_sort(all, by_key);
        CHECK(all == expected);
      }());
    });
  }

  TEST_CASE("strings, elements that only move, other orders and other containers") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<std::string> words;
        for (const int n : some_numbers(50'000, 1'000'000)) {
          words.push_back(std::to_string(n) + (n % 2 == 0 ? " and something longer" : ""));
        }
        std::vector<std::string> expected = words;
        std::sort(expected.begin(), expected.end());
        co_await parallel_sort(words);
        CHECK(words == expected);

        std::deque<std::unique_ptr<int>> boxes;
        for (const int n : some_numbers(20'000, 1000)) boxes.push_back(std::make_unique<int>(n));
        auto down = [](const std::unique_ptr<int>& a, const std::unique_ptr<int>& b) {
          return *a > *b;
        };
        co_await parallel_sort(boxes.begin(), boxes.end(), down);
        CHECK(std::is_sorted(boxes.begin(), boxes.end(), down));
      }());
    });
  }

  TEST_CASE("an exception of the comparison is rethrown, and no element is lost") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> in_order = some_numbers(60'000, 1'000'000);
        std::sort(in_order.begin(), in_order.end());
        for (const int allowed : {100, 100'000, 700'000}) {
          std::vector<std::shared_ptr<int>> all;
          for (const int n : some_numbers(60'000, 1'000'000))
            all.push_back(std::make_shared<int>(n));
          std::atomic<int> calls = 0;
          auto less = [&](const std::shared_ptr<int>& a, const std::shared_ptr<int>& b) {
            if (++calls > allowed) throw std::runtime_error("enough");
            return *a < *b;
          };
          bool thrown = false;
          try {
            co_await parallel_stable_sort(all, less);
          } catch (const std::runtime_error&) {
            thrown = true;
          }
          CHECK(thrown);
          for (const auto& p : all) REQUIRE((p != nullptr && p.use_count() == 1));
          std::vector<int> numbers = some_numbers(60'000, 1'000'000);
          calls = 0;
          thrown = false;
          auto less_numbers = [&](int a, int b) {
            if (++calls > allowed) throw std::runtime_error("enough");
            return a < b;
          };
          try {
            co_await parallel_sort(numbers, less_numbers);
          } catch (const std::runtime_error&) {
            thrown = true;
          }
          CHECK(thrown);
          std::sort(numbers.begin(), numbers.end());
          CHECK(numbers == in_order);
        }
      }());
    });
  }

  TEST_CASE("a sort that is stopped leaves all elements in the range") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<int> numbers = some_numbers(200'000, 1'000'000'000);
        std::vector<int> expected = numbers;
        std::sort(expected.begin(), expected.end());
        for (const auto limit : {100us, 1000us, 3000us}) {
          for (const bool stable : {false, true}) {
            std::vector<int> all = numbers;
            auto slow = [](int a, int b) {
              static std::atomic<int> waste = 0;
              for (int i = 0; i < 4; ++i) waste.fetch_add(1, std::memory_order_relaxed);
              return a < b;
            };
            task<> sorting = stable ? parallel_stable_sort(all, slow) : parallel_sort(all, slow);
            const tests::caught c =
                co_await tests::catching(with_timeout(limit, std::move(sorting)));
            CHECK(c.was_timeout);
            std::sort(all.begin(), all.end());
            CHECK(all == expected);
          }
          std::vector<std::string> words;
          for (const int n : numbers) words.push_back(std::to_string(n));
          std::vector<std::string> as_before = words;
          const tests::caught c =
              co_await tests::catching(with_timeout(limit, parallel_sort(words)));
          CHECK(c.was_timeout);
          std::sort(words.begin(), words.end());
          std::sort(as_before.begin(), as_before.end());
          CHECK(words == as_before);
        }
      }());
    });
  }

  TEST_CASE("under a stopped scope nothing is sorted") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> all{3, 1, 2};
        bool refused = false;
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          const tests::caught c = co_await tests::catching(parallel_sort(all));
          refused = c.was_cancelled;
        };
        co_await with_task_group(body);
        CHECK(refused);
        CHECK(all == std::vector<int>{3, 1, 2});
      }());
    });
  }
}

}  // namespace parallel_sort_test

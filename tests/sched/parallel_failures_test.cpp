// SPDX-License-Identifier: MIT
// Every parallel algorithm, with a body that throws at the first place, at the second, and so on:
// that exception comes out, each element is what it was or what it becomes, and nothing is left.
#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/parallel_for.hpp"
#include "weft/sched/parallel_for_each.hpp"
#include "weft/sched/parallel_invoke.hpp"
#include "weft/sched/parallel_reduce.hpp"
#include "weft/sched/parallel_scan.hpp"
#include "weft/sched/parallel_sort.hpp"
#include "weft/sched/parallel_transform.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

namespace parallel_failures_test {

using namespace weft;
using tests::counted;
using tests::on_both;

namespace {

struct failure_at {
  int place;
};

void throw_at(int place, int here) {
  if (place == here) throw failure_at{here};
}

/// The place of the failure that comes out of an await, or -1.
template <class Operation>
task<int> place_of_failure(Operation operation) {
  try {
    co_await std::move(operation);
  } catch (const failure_at& f) {
    co_return f.place;
  }
  co_return -1;
}

/// Awaits `attempt(length, place, options)` for each place of short ranges, and for none (-1).
template <class Attempt>
void at_each_place(Attempt attempt) {
  on_both([&](const run_options& options) {
    auto all = [&]() -> task<> {
      for (const int length : {1, 2, 3, 8, 9, 20}) {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 3}) {
          for (int place = -1; place < length; ++place)
            co_await attempt(length, place, parallel_options{.grain = grain});
        }
      }
    };
    run(options, all());
    CHECK(counted::alive() == 0);
  });
}

std::vector<int> zeros(int length) { return std::vector<int>(static_cast<std::size_t>(length)); }
std::vector<int> numbers(int length) {
  std::vector<int> all = zeros(length);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// Each has run once at most, and only the one that failed when none did has not run.
void check_ran(const std::vector<int>& ran, int place) {
  const auto once = std::count(ran.begin(), ran.end(), 1);
  const auto never = std::count(ran.begin(), ran.end(), 0);
  CHECK(once + never == std::ssize(ran));
  if (place < 0)
    CHECK(never == 0);
  else
    CHECK(ran[static_cast<std::size_t>(place)] == 0);
}

}  // namespace

TEST_SUITE("sched/parallel_failures") {
  TEST_CASE("parallel_for whose body throws at each index in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      std::vector<int> ran = zeros(length);
      const auto body = [&](int i) {
        throw_at(place, i);
        ++ran[static_cast<std::size_t>(i)];
      };
      const int failed = co_await place_of_failure(parallel_for(0, length, body, options));
      CHECK(failed == place);
      check_ran(ran, place);
    });
  }

  TEST_CASE("parallel_for whose body returns a task that throws at each index in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      std::vector<int> ran = zeros(length);
      const auto body = [&](int i) -> task<> {
        const counted here(i);
        co_await yield();
        throw_at(place, here.number);
        ++ran[static_cast<std::size_t>(i)];
      };
      const int failed = co_await place_of_failure(parallel_for(0, length, body, options));
      CHECK(failed == place);
      check_ran(ran, place);
    });
  }

  TEST_CASE("parallel_for_each whose body throws at each element in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      std::vector<int> elements = numbers(length);
      const auto body = [&](int& n) {
        throw_at(place, n);
        n += 100;
      };
      const int failed = co_await place_of_failure(parallel_for_each(elements, body, options));
      CHECK(failed == place);
      for (int i = 0; i < length; ++i) elements[static_cast<std::size_t>(i)] -= i;
      for (int& n : elements) n = n == 100 ? 1 : n;
      check_ran(elements, place);
    });
  }

  TEST_CASE("parallel_transform whose function throws at each element in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      const std::vector<int> in = numbers(length);
      std::vector<int> out = zeros(length);
      const auto one = [&](int n) {
        throw_at(place, n);
        return 1;
      };
      const int failed =
          co_await place_of_failure(parallel_transform(in, out.begin(), one, options));
      CHECK(failed == place);
      check_ran(out, place);
    });
  }

  TEST_CASE("parallel_reduce whose map throws at each index in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      const auto map = [&](int i) {
        throw_at(place, i);
        return counted(i);
      };
      const auto op = [](const counted& a, const counted& b) {
        return counted(a.number + b.number);
      };
      const int failed =
          co_await place_of_failure(parallel_reduce(0, length, counted(0), map, op, options));
      CHECK(failed == place);
    });
  }

  TEST_CASE("parallel_reduce whose operation throws at each call in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      std::atomic<int> calls = 0;
      const auto op = [&](const counted& a, const counted& b) {
        throw_at(place, calls++);
        return counted(a.number + b.number);
      };
      const auto map = [](int i) { return counted(i); };
      const int failed =
          co_await place_of_failure(parallel_reduce(0, length, counted(0), map, op, options));
      CHECK(failed == place);
    });
  }

  TEST_CASE("scans whose operation throws at each call in turn") {
    at_each_place([](int length, int place, parallel_options options) -> task<> {
      std::atomic<int> calls = 0;
      const auto op = [&](const counted& a, const counted& b) {
        throw_at(place, calls++);
        return counted(a.number + b.number);
      };
      std::vector<counted> in(static_cast<std::size_t>(length), counted(1));
      const int failed = co_await place_of_failure(
          parallel_inclusive_scan(in, in.begin(), counted(0), op, options));
      CHECK(failed == place);
      for (int i = 0; i < length; ++i) {
        const int here = in[static_cast<std::size_t>(i)].number;
        CHECK((here == i + 1 || (place >= 0 && here == 1)));
      }
      calls = 0;
      in.assign(static_cast<std::size_t>(length), counted(1));
      const int second = co_await place_of_failure(
          parallel_exclusive_scan(in, in.begin(), counted(0), op, options));
      CHECK(second == place);
      for (int i = 0; i < length; ++i) {
        const int here = in[static_cast<std::size_t>(i)].number;
        CHECK((here == i || (place >= 0 && here == 1)));
      }
    });
  }

  TEST_CASE("sorts whose comparison throws at each call in turn") {
    at_each_place([](int length, int place, parallel_options) -> task<> {
      std::vector<counted> all;
      for (int i = 0; i < length; ++i) all.emplace_back(i * 7 % length);
      std::vector<counted> stable = all;
      std::atomic<int> calls = 0;
      const auto less = [&](const counted& a, const counted& b) {
        throw_at(place, calls++);
        return a.number < b.number;
      };
      const auto check = [&](std::vector<counted>& sorted, int failed) {
        CHECK(failed == (place < calls ? place : -1));  // there may be fewer comparisons
        const auto before = [](const counted& a, const counted& b) { return a.number < b.number; };
        if (failed < 0) CHECK(std::is_sorted(sorted.begin(), sorted.end(), before));
        std::sort(sorted.begin(), sorted.end(), before);
        std::vector<int> expected;
        for (int i = 0; i < length; ++i) expected.push_back(i * 7 % length);
        std::sort(expected.begin(), expected.end());
        for (std::size_t i = 0; i < expected.size(); ++i) CHECK(sorted[i].number == expected[i]);
      };
      const int failed = co_await place_of_failure(parallel_sort(all, less));
      check(all, failed);
      calls = 0;
      const int second = co_await place_of_failure(parallel_stable_sort(stable, less));
      check(stable, second);
    });
  }

  TEST_CASE("parallel_invoke of which each function throws in turn") {
    on_both([](const run_options& options) {
      auto all = []() -> task<> {
        for (int place = -1; place < 4; ++place) {
          std::vector<int> ran = zeros(4);
          const auto make = [&](int i) {
            return [&ran, place, i] {
              throw_at(place, i);
              ++ran[static_cast<std::size_t>(i)];
            };
          };
          const int failed =
              co_await place_of_failure(parallel_invoke(make(0), make(1), make(2), make(3)));
          CHECK(failed == place);
          check_ran(ran, place);
        }
      };
      run(options, all());
    });
  }
}

}  // namespace parallel_failures_test

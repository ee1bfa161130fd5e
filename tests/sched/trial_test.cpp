// SPDX-License-Identifier: MIT
#include "weft/sched/detail/trial.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>

namespace trial_test {

using weft::detail::trial;

namespace {

struct outcome {
  std::array<int, 2> tried;
  bool second;
};

/// `costs`: the least of the first way, which is ten times as dear but once, and the second's.
outcome outcome_of(std::array<double, 2> costs) {
  trial t;
  std::array<int, 2> tried = {};
  while (!t.is_over()) {
    const auto way = static_cast<std::size_t>(t.takes_second());
    const bool is_dear = ++tried[way] != 2 && way == 0;
    t.cost(is_dear ? 10 * costs[way] : costs[way]);
  }
  return {tried, t.takes_second()};
}

}  // namespace

TEST_SUITE("sched/trial") {
  TEST_CASE("both ways are tried equally often, and the cheaper one is kept") {
    CHECK(outcome_of({2.0, 1.9}).second);
    CHECK_FALSE(outcome_of({1.9, 2.0}).second);
    CHECK_FALSE(outcome_of({2.0, 2.0}).second);
    CHECK(outcome_of({2.0, 1.9}).tried == std::array{4, 4});
  }
}

}  // namespace trial_test

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/stretch_length.hpp"

#include <doctest/doctest.h>

#include <cstdint>

namespace stretch_length_test {

using weft::detail::stretch_length;

namespace {

constexpr std::int64_t theft = stretch_length::theft_ns;

}  // namespace

TEST_SUITE("sched/stretch_length") {
  TEST_CASE("stretches are brief when they take less than a theft, on the average") {
    stretch_length s;
    CHECK(s.brief());
    s.begin(1'000'000, 40);
    s.look(1'000'000 + 10 * theft, 50);
    CHECK_FALSE(s.brief());
    s.look(1'000'000 + 11 * theft - 1, 51);
    CHECK(s.brief());
  }

  TEST_CASE("time in which there was nothing to run does not make them longer") {
    stretch_length s;
    s.look(1000 * theft, 0);
    s.look(1000 * theft + 10, 1);
    CHECK(s.brief());
    s.look(2000 * theft, 1);
    CHECK(s.brief());
    s.look(2000 * theft + 10, 2);
    CHECK(s.brief());
    s.look(3000 * theft, 3);
    CHECK_FALSE(s.brief());
  }

  TEST_CASE("they are counted anew from each theft") {
    stretch_length s;
    s.begin(0, 0);
    s.look(100 * theft, 1);
    s.begin(100 * theft, 1);
    CHECK_FALSE(s.brief());
    s.look(100 * theft + 10, 2);
    CHECK(s.brief());
  }
}

}  // namespace stretch_length_test

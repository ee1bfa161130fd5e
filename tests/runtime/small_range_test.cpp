// SPDX-License-Identifier: MIT
#include "weft/runtime/small_range.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace small_range_test {

using weft::small_range;

TEST_SUITE("runtime/small_range") {
  TEST_CASE("it holds what was put into it, in order") {
    small_range<int, 3> numbers;
    CHECK(numbers.empty());
    numbers.push_back(1);
    CHECK(numbers.emplace_back(2) == 2);
    CHECK(numbers.size() == 2);
    int sum = 0;
    for (const int n : std::as_const(numbers)) sum = sum * 10 + n;
    CHECK(sum == 12);
    numbers[0] = 7;
    CHECK(numbers.data()[0] == 7);
  }

  TEST_CASE("what is full declines and changes nothing") {
    small_range<int, 2> numbers;
    numbers.push_back(1);
    numbers.push_back(2);
    CHECK_THROWS_AS(numbers.push_back(3), std::length_error);
    CHECK(numbers.size() == 2);
    CHECK(numbers[1] == 2);
  }

  TEST_CASE("a move moves each value, and destroys what was there") {
    const auto shared = std::make_shared<int>(1);
    {
      small_range<std::shared_ptr<int>, 4> from;
      from.push_back(shared);
      from.push_back(shared);
      small_range<std::shared_ptr<int>, 4> to(std::move(from));
      CHECK(to.size() == 2);
      CHECK(shared.use_count() == 3);
      small_range<std::shared_ptr<int>, 4> other;
      other.push_back(shared);
      other = std::move(to);
      CHECK(other.size() == 2);
      CHECK(shared.use_count() == 3);
      other.clear();
      CHECK(shared.use_count() == 1);
    }
    CHECK(shared.use_count() == 1);
  }
}

}  // namespace small_range_test

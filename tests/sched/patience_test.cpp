// SPDX-License-Identifier: MIT
// When a worker that has run dry looks again, under a clock of the test's own: between two reads
// `step` passes.
#include "weft/sched/detail/patience.hpp"

#include "support/forwarding_kernel.hpp"

#include <doctest/doctest.h>

#include <cstdint>

namespace patience_test {

using weft::detail::patience;

namespace {

constexpr std::int64_t bound = 50'000;
constexpr std::int64_t ms = 1'000'000;

struct stepping_kernel final : weft::tests::forwarding_kernel {
  std::int64_t now() noexcept override { return time += step; }
  std::int64_t time = 1000 * ms;
  std::int64_t step = 100;
};

/// Looks until it is to sleep; how often.
int look_in_vain(patience& p) {
  int looks = 0;
  while (looks < 1'000'000 && p.look_again()) ++looks;
  return looks;
}

void sleep(patience& p, stepping_kernel& k, std::int64_t ns) {
  p.sleeps();
  k.time += ns;
  p.slept();
}

void long_spell(patience& p, stepping_kernel& k) {
  (void)look_in_vain(p);
  sleep(p, k, 10 * ms);
}

}  // namespace

TEST_SUITE("sched/patience") {
  TEST_CASE("a worker that has run dry looks for a bounded time, then sleeps") {
    stepping_kernel kernel;
    patience p(kernel, bound);
    const std::int64_t begin = kernel.time;
    CHECK(look_in_vain(p) > 100);
    CHECK(kernel.time - begin >= bound);
    CHECK(kernel.time - begin < 2 * bound);
    CHECK_FALSE(p.look_again());
  }

  TEST_CASE("looks that took long count as several, so that the bound holds") {
    stepping_kernel kernel;
    kernel.step = bound / 2;  // passes between two reads of the clock
    patience p(kernel, bound);
    CHECK(p.look_again(8));
    CHECK_FALSE(p.look_again(8));
    p.found();
    CHECK(p.look_again(5));
    CHECK(p.look_again(5));
    CHECK_FALSE(p.look_again(7));
  }

  TEST_CASE("where time is not real it sleeps at once, and reads no clock") {
    stepping_kernel kernel;
    const std::int64_t begin = kernel.time;
    patience p(kernel, weft::detail::patience_of(kernel, 1));
    CHECK(look_in_vain(p) == 0);
    p.sleeps();
    p.slept();
    CHECK(kernel.time == begin);
  }

  TEST_CASE("after long spells it sleeps at once, until one is short") {
    stepping_kernel kernel;
    patience p(kernel, bound);
    for (int i = 0; i < 3; ++i) {
      CHECK(look_in_vain(p) > 0);
      sleep(p, kernel, 10 * ms);
    }
    for (int i = 0; i < 10; ++i) {
      CHECK(look_in_vain(p) == 0);
      sleep(p, kernel, 10 * ms);
    }
    CHECK(look_in_vain(p) == 0);
    sleep(p, kernel, bound);
    CHECK(look_in_vain(p) > 0);
  }

  TEST_CASE("what is found while it looks makes the spell a short one") {
    stepping_kernel kernel;
    patience p(kernel, bound);
    for (int i = 0; i < 10; ++i) {
      long_spell(p, kernel);
      long_spell(p, kernel);
      CHECK(p.look_again());
      p.found();
    }
  }

  TEST_CASE("when somebody took its core it sleeps at once for a while, and longer each time") {
    stepping_kernel kernel;
    patience p(kernel, bound);
    // How long it does not look, after an offer that was taken. Its sleeps are short meanwhile.
    const auto while_after_an_offer = [&] {
      kernel.step = 6000;  // less than the bound until the first offer; then it seems taken
      CHECK(look_in_vain(p) > 0);
      sleep(p, kernel, 1000);
      kernel.step = 0;
      const std::int64_t begin = kernel.time;
      while (look_in_vain(p) == 0 && kernel.time < begin + 10'000 * ms) {
        sleep(p, kernel, bound / 10);
        kernel.step = 1;
      }
      p.found();
      return kernel.time - begin;
    };
    const std::int64_t first = while_after_an_offer();
    CHECK(first > 10 * 6000);
    CHECK(first < 30 * 6000);
    const std::int64_t second = while_after_an_offer();
    CHECK(second > first * 3 / 2);
    SUBCASE("up to a bound") {
      for (int i = 0; i < 20; ++i) (void)while_after_an_offer();
      CHECK(while_after_an_offer() > 500 * ms);
      CHECK(while_after_an_offer() < 2000 * ms);
    }
    SUBCASE("but as at first when nobody took it for a while") {
      kernel.time += 100 * second;
      CHECK(while_after_an_offer() < first * 3 / 2);
    }
  }
}

}  // namespace patience_test

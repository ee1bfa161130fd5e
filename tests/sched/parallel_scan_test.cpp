// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_scan.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace parallel_scan_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("sched/parallel_scan") {
  TEST_CASE("the totals are those of the standard library, for every length and grain") {
    for (const unsigned workers : {1u, 2u, 3u}) {
      const tests::nothing_left_behind guard;
      run({.workers = workers}, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 7, 1'000'000}) {
          for (const std::size_t n :
               std::initializer_list<std::size_t>{0, 1, 2, 3, 64, 5000, 8191, 8192, 50'000}) {
            std::vector<std::int64_t> in(n);
            std::iota(in.begin(), in.end(), -5);
            std::vector<std::int64_t> expected(n);
            std::vector<std::int64_t> out(n);
            std::inclusive_scan(in.begin(), in.end(), expected.begin(), std::plus<>(), 100);
            co_await parallel_inclusive_scan(in, out.begin(), std::int64_t{100}, std::plus<>(),
                                             {.grain = grain});
            CHECK(out == expected);
            std::exclusive_scan(in.begin(), in.end(), expected.begin(), std::int64_t{100});
            co_await parallel_exclusive_scan(in.begin(), in.end(), in.begin(), std::int64_t{100},
                                             std::plus<>(), {.grain = grain});
            CHECK(in == expected);
          }
        }
      }());
    }
  }

  TEST_CASE("an operation that is not commutative gets its neighbours in order") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<std::string> in;
        for (int i = 0; i < 300; ++i) in.emplace_back(1, static_cast<char>('a' + i % 26));
        std::vector<std::string> out(in.size());
        auto append = [](const std::string& a, const std::string& b) { return a + b; };
        co_await parallel_inclusive_scan(in, out.begin(), std::string(), append, {.grain = 3});
        std::string all;
        for (std::size_t i = 0; i < in.size(); ++i) {
          all += in[i];
          REQUIRE(out[i] == all);
        }
      }());
    });
  }

  TEST_CASE("an exception is rethrown, and a stopped scope is refused") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> all(30'000, 1);
        bool thrown = false;
        auto op = [](int a, int b) -> int {
          if (a > 5000) throw std::runtime_error("too much");
          return a + b;
        };
        try {
          co_await parallel_inclusive_scan(all, all.begin(), 0, op);
        } catch (const std::runtime_error&) {
          thrown = true;
        }
        CHECK(thrown);
        bool refused = false;
        auto body = [&](task_group& g) -> task<> {
          g.cancel();
          const tests::caught c =
              co_await tests::catching(parallel_inclusive_scan(all, all.begin(), 0, std::plus<>()));
          refused = c.was_cancelled;
        };
        co_await with_task_group(body);
        CHECK(refused);
      }());
    });
  }
}

}  // namespace parallel_scan_test

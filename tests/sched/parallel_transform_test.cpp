// SPDX-License-Identifier: MIT
#include "weft/sched/parallel_transform.hpp"

#include "support/both_schedulers.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace parallel_transform_test {

using namespace weft;
using tests::on_both;

TEST_SUITE("sched/parallel_transform") {
  TEST_CASE("each element is made from the one at its place, for every length and grain") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t grain : std::initializer_list<std::size_t>{0, 1, 50}) {
          for (const std::size_t n :
               std::initializer_list<std::size_t>{0, 1, 63, 64, 65, 1'000'000}) {
            std::vector<int> in(n);
            for (std::size_t i = 0; i < n; ++i) in[i] = static_cast<int>(i);
            std::vector<long> out(n + 1, -1);
            auto square = [](int x) { return static_cast<long>(x) * x; };
            co_await parallel_transform(in, out.begin(), square, {.grain = grain});
            bool right = out[n] == -1;
            for (std::size_t i = 0; i < n; ++i) right = right && out[i] == in[i] * 1l * in[i];
            CHECK(right);
          }
        }
      }());
    });
  }

  TEST_CASE("in place, of two ranges, and by iterators") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> a(3000, 2);
        const std::vector<int> b(3000, 5);
        co_await parallel_transform(a.begin(), a.end(), a.begin(), [](int x) { return x + 1; });
        CHECK(a == std::vector<int>(3000, 3));
        co_await parallel_transform(a.begin(), a.end(), b.begin(), a.begin(),
                                    [](int x, int y) { return x * y; }, {.grain = 100});
        CHECK(a == std::vector<int>(3000, 15));
      }());
    });
  }

  TEST_CASE("values that only move, and tasks of values") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> in(500, 1);
        std::vector<std::unique_ptr<int>> boxes(500);
        co_await parallel_transform(in, boxes.begin(),
                                    [](int x) { return std::make_unique<int>(x); });
        for (const auto& box : boxes) REQUIRE(*box == 1);
        auto later = [](std::unique_ptr<int>& box) -> task<std::string> {
          co_await yield();
          co_return std::to_string(*box + 1);
        };
        std::vector<std::string> words(500);
        co_await parallel_transform(boxes, words.begin(), later);
        CHECK(words == std::vector<std::string>(500, "2"));
      }());
    });
  }

  TEST_CASE("an exception leaves each element written or as it was") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        std::vector<int> out(100'000, -1);
        bool thrown = false;
        auto f = [](int x) {
          if (x == 70'000) throw std::runtime_error("no");
          return x;
        };
        std::vector<int> in(out.size());
        for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i);
        try {
          co_await parallel_transform(in, out.begin(), f);
        } catch (const std::runtime_error&) {
          thrown = true;
        }
        CHECK(thrown);
        CHECK(out[70'000] == -1);
        for (std::size_t i = 0; i < in.size(); ++i) REQUIRE((out[i] == -1 || out[i] == in[i]));
      }());
    });
  }
}

}  // namespace parallel_transform_test

// SPDX-License-Identifier: MIT
// What does fork-join cost: Fibonacci's numbers by plain recursion, no work beside the forks?
//
// Measured: the whole tree, 1.3 million forks for fib(30), 102 million for fib(39); each call but
// the leaves forks two and joins them. `per_item` is a call. Not measured: what makes fork-join
// worth it, work in the leaves; starting and ending the threads. Bound: frame, fork and join of
// each call; with two workers the few steals. Baselines: the same recursion without forking
// (serial); oneTBB's task_group and parallel_invoke, held to as many threads.

#include "bench/support/fork_join.hpp"
#include <weft/runtime/when_all.hpp>

#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_group.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

weft::task<std::int64_t> fib(std::int64_t i) {
  if (i < 2) co_return i;
  const auto both = co_await weft::when_all(fib(i - 1), fib(i - 2));
  co_return std::get<0>(both) + std::get<1>(both);
}

std::int64_t serial_fib(std::int64_t i) {
  return i < 2 ? i : serial_fib(i - 1) + serial_fib(i - 2);
}

std::int64_t task_group_fib(std::int64_t i) {
  if (i < 2) return i;
  std::int64_t left = 0;
  tbb::task_group group;
  group.run([&left, i] { left = task_group_fib(i - 1); });
  const std::int64_t right = task_group_fib(i - 2);
  group.wait();
  return left + right;
}

std::int64_t parallel_invoke_fib(std::int64_t i) {
  if (i < 2) return i;
  std::int64_t left = 0;
  std::int64_t right = 0;
  tbb::parallel_invoke([&left, i] { left = parallel_invoke_fib(i - 1); },
                       [&right, i] { right = parallel_invoke_fib(i - 2); });
  return left + right;
}

class fib_problem {
public:
  explicit fib_problem(std::int64_t n) : n_(n) {}

  void prepare() { benchmark::DoNotOptimize(n_); }
  bool right() const { return value_ == from_below(n_); }
  std::size_t items() const { return static_cast<std::size_t>(2 * from_below(n_ + 1) - 1); }

  weft::task<> by_weft() { value_ = co_await fib(n_); }
  void serially() { value_ = serial_fib(n_); }
  void by_task_group() { value_ = task_group_fib(n_); }
  void by_parallel_invoke() { value_ = parallel_invoke_fib(n_); }

private:
  static std::int64_t from_below(std::int64_t n) {
    std::int64_t value = 0;
    std::int64_t next = 1;
    for (; n > 0; --n) value = std::exchange(next, value + next);
    return value;
  }

  std::int64_t n_;
  std::int64_t value_ = 0;
};

const bool registered =
    bench::fork_join<fib_problem>("sched/fork_join_fib", bench::full_size() ? 39 : 30,
                                  {{"tbb_task_group", &fib_problem::by_task_group},
                                   {"tbb_parallel_invoke", &fib_problem::by_parallel_invoke}});

}  // namespace

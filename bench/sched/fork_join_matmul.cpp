// SPDX-License-Identifier: MIT
// What does fork-join cost beside real work: the product of two matrices of int, by quartering?
//
// Measured: n x n, quartered down to leaves of 32 x 32; at each level four products in parallel,
// then the other four, which add to the same quarters of the result. `per_item` is a leaf (4096 for
// n = 512, 262,144 for 2048). Not measured: making the matrices; starting and ending the threads.
// Bound: the leaves, vectorised by the compiler; so this shows which core works on what, and when
// they are idle, not what a fork costs. Baselines: the same quartering without forks (serial);
// oneTBB's task_group and parallel_invoke, held to as many threads.

#include "bench/support/fork_join.hpp"
#include <weft/runtime/when_all.hpp>

#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

constexpr std::size_t leaf = 32;

/// c += a b, for squares of n x n in matrices of rows of `stride`.
struct product {
  const int* a;
  const int* b;
  int* c;
  std::size_t n;
  std::size_t stride;

  /// The product of a's square (row, k) and b's (k, column) of the four each.
  product quarter(std::size_t row, std::size_t k, std::size_t column) const {
    const std::size_t half = n / 2;
    const auto at = [&](std::size_t i, std::size_t j) { return i * half * stride + j * half; };
    return {a + at(row, k), b + at(k, column), c + at(row, column), half, stride};
  }
};

// A function of its own: inlined into a coroutine its operands are in the frame, and the compiler
// does not vectorise the loops.
[[gnu::noinline]] void multiply(product p) {
  for (std::size_t i = 0; i < p.n; ++i)
    for (std::size_t k = 0; k < p.n; ++k)
      for (std::size_t j = 0; j < p.n; ++j)
        p.c[i * p.stride + j] += p.a[i * p.stride + k] * p.b[k * p.stride + j];
}

weft::task<> matmul(product p) {
  if (p.n <= leaf) {
    multiply(p);
    co_return;
  }
  for (std::size_t k = 0; k < 2; ++k) {
    co_await weft::when_all(matmul(p.quarter(0, k, 0)), matmul(p.quarter(0, k, 1)),
                            matmul(p.quarter(1, k, 0)), matmul(p.quarter(1, k, 1)));
  }
}

void serial_matmul(const product& p) {
  if (p.n <= leaf) return multiply(p);
  for (std::size_t k = 0; k < 2; ++k)
    for (std::size_t i = 0; i < 4; ++i) serial_matmul(p.quarter(i / 2, k, i % 2));
}

void task_group_matmul(const product& p) {
  if (p.n <= leaf) return multiply(p);
  tbb::task_group group;
  for (std::size_t k = 0; k < 2; ++k) {
    for (std::size_t i = 0; i < 4; ++i)
      group.run([&p, k, i] { task_group_matmul(p.quarter(i / 2, k, i % 2)); });
    group.wait();
  }
}

void parallel_invoke_matmul(const product& p) {
  if (p.n <= leaf) return multiply(p);
  for (std::size_t k = 0; k < 2; ++k) {
    tbb::parallel_invoke([&p, k] { parallel_invoke_matmul(p.quarter(0, k, 0)); },
                         [&p, k] { parallel_invoke_matmul(p.quarter(0, k, 1)); },
                         [&p, k] { parallel_invoke_matmul(p.quarter(1, k, 0)); },
                         [&p, k] { parallel_invoke_matmul(p.quarter(1, k, 1)); });
  }
}

class matmul_problem {
public:
  explicit matmul_problem(std::int64_t n)
      : n_(static_cast<std::size_t>(n)), a_(n_ * n_, 1), b_(n_ * n_, 1), c_(n_ * n_) {}

  void prepare() { std::fill(c_.begin(), c_.end(), 0); }
  bool right() const {
    return std::all_of(c_.begin(), c_.end(), [this](int x) { return x == static_cast<int>(n_); });
  }
  std::size_t items() const { return (n_ / leaf) * (n_ / leaf) * (n_ / leaf); }

  weft::task<> by_weft() { return matmul(all()); }
  void serially() { serial_matmul(all()); }
  void by_task_group() { task_group_matmul(all()); }
  void by_parallel_invoke() { parallel_invoke_matmul(all()); }

private:
  product all() { return {a_.data(), b_.data(), c_.data(), n_, n_}; }

  std::size_t n_;
  std::vector<int> a_;
  std::vector<int> b_;
  std::vector<int> c_;
};

const bool registered = bench::fork_join<matmul_problem>(
    "sched/fork_join_matmul", bench::full_size() ? 2048 : 512,
    {{"tbb_task_group", &matmul_problem::by_task_group},
     {"tbb_parallel_invoke", &matmul_problem::by_parallel_invoke}});

}  // namespace

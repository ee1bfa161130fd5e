// SPDX-License-Identifier: MIT
// What does fork-join cost with some work in each task and a number of children that varies: all
// ways to place n queens on an n x n board?
//
// Measured: the whole search, a task for each queen that is placed; a task tries the rows of the
// next column, copies the board for each that is possible, forks and joins them. `per_item` is a
// task. Not measured: starting and ending the threads. Bound: trying the rows, most of it; a frame
// with the board, a fork and a join for each task. Baselines: plain recursion (serial); oneTBB's
// task_group, whose last child is run in place, and its parallel_for over the children; both held
// to as many threads.

#include "bench/support/fork_join.hpp"
#include <weft/runtime/small_range.hpp>
#include <weft/runtime/when_all.hpp>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

namespace {

/// The row of the queen in each column.
template <std::size_t N>
using board = std::array<char, N>;

using child_tasks = weft::small_range<weft::task<int>, 16>;

template <std::size_t N>
bool possible(const board<N>& queens, std::size_t column, char row) {
  for (std::size_t x = 0; x < column; ++x) {
    const int distance = static_cast<int>(column - x);
    const int other = queens[x];
    if (row == other || row == other - distance || row == other + distance) return false;
  }
  return true;
}

template <std::size_t N>
weft::task<int> place(board<N> queens, std::size_t column) {
  if (column == N) co_return 1;
  child_tasks children;
  for (std::size_t y = 0; y < N; ++y) {
    const auto row = static_cast<char>(y);
    if (!possible(queens, column, row)) continue;
    queens[column] = row;
    children.push_back(place(queens, column + 1));
  }
  const auto found = co_await weft::when_all(std::move(children));
  co_return std::accumulate(found.begin(), found.end(), 0);
}

template <std::size_t N>
int serial_place(board<N> queens, std::size_t column) {
  if (column == N) return 1;
  int found = 0;
  for (std::size_t y = 0; y < N; ++y) {
    const auto row = static_cast<char>(y);
    if (!possible(queens, column, row)) continue;
    queens[column] = row;
    found += serial_place(queens, column + 1);
  }
  return found;
}

/// The possible rows of a column, and what was found below each.
template <std::size_t N>
struct branches {
  branches(const board<N>& queens, std::size_t column) {
    for (std::size_t y = 0; y < N; ++y)
      if (possible(queens, column, static_cast<char>(y))) rows[count++] = static_cast<char>(y);
  }
  int total() const { return std::accumulate(found.begin(), found.begin() + count, 0); }

  std::size_t count = 0;
  std::array<char, N> rows;
  std::array<int, N> found;
};

template <std::size_t N>
int task_group_place(board<N> queens, std::size_t column) {
  if (column == N) return 1;
  branches<N> all(queens, column);
  if (all.count == 0) return 0;
  tbb::task_group group;
  for (std::size_t i = 0; i < all.count; ++i) {
    queens[column] = all.rows[i];
    const auto child = [queens, column, &to = all.found[i]] {
      to = task_group_place(queens, column + 1);
    };
    if (i + 1 < all.count)
      group.run(child);
    else
      group.run_and_wait(child);
  }
  return all.total();
}

template <std::size_t N>
int parallel_for_place(const board<N>& queens, std::size_t column) {
  if (column == N) return 1;
  branches<N> all(queens, column);
  tbb::parallel_for(std::size_t{0}, all.count, [&queens, column, &all](std::size_t i) {
    board<N> mine = queens;
    mine[column] = all.rows[i];
    all.found[i] = parallel_for_place(mine, column + 1);
  });
  return all.total();
}

template <std::size_t N>
class queens_problem {
public:
  explicit queens_problem(std::int64_t) {}

  void prepare() { benchmark::DoNotOptimize(empty_); }
  bool right() const { return found_ == (N == 11 ? 2'680 : 365'596); }
  std::size_t items() const { return N == 11 ? 166'926 : 27'358'553; }

  weft::task<> by_weft() { found_ = co_await place(empty_, 0); }
  void serially() { found_ = serial_place(empty_, 0); }
  void by_task_group() { found_ = task_group_place(empty_, 0); }
  void by_parallel_for() { found_ = parallel_for_place(empty_, 0); }

private:
  static_assert(N == 11 || N == 14, "how many ways there are is known for these");

  board<N> empty_{};
  int found_ = 0;
};

template <std::size_t N>
bool of_size() {
  using problem = queens_problem<N>;
  return bench::fork_join<problem>("sched/fork_join_nqueens", N,
                                   {{"tbb_task_group", &problem::by_task_group},
                                    {"tbb_parallel_for", &problem::by_parallel_for}});
}

const bool registered = bench::full_size() ? of_size<14>() : of_size<11>();

}  // namespace

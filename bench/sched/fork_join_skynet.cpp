// SPDX-License-Identifier: MIT
// What does fork-join cost with ten children a task: a tree whose leaves give their ordinals?
//
// Measured: the whole tree, a million leaves, or 100 million; each inner task forks ten, joins them
// and adds up. `per_item` is a task (leaves and inner ones). Not measured: work in the leaves;
// starting and ending the threads. Bound: a frame, a tenth of a fork and a tenth of a join for each
// task; the array of ten results. Baselines: plain recursion (serial); oneTBB's task_group with one
// run() a child, and its parallel_for over the ten, which makes fewer tasks than there are children
// when nobody is idle; both held to as many threads.

#include "bench/support/fork_join.hpp"
#include <weft/runtime/when_all.hpp>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

namespace {

constexpr std::size_t children = 10;
using sums = std::array<std::uint64_t, children>;

std::uint64_t total(const sums& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
}

weft::task<std::uint64_t> skynet(std::uint64_t first, std::uint64_t leaves);

template <std::size_t... I>
std::array<weft::task<std::uint64_t>, children> below(std::uint64_t first, std::uint64_t leaves,
                                                      std::index_sequence<I...>) {
  return {skynet(first + I * leaves, leaves)...};
}

weft::task<std::uint64_t> skynet(std::uint64_t first, std::uint64_t leaves) {
  if (leaves == 1) co_return first;
  auto tasks = below(first, leaves / children, std::make_index_sequence<children>{});
  const sums parts = co_await weft::when_all(std::move(tasks));
  co_return total(parts);
}

std::uint64_t serial_skynet(std::uint64_t first, std::uint64_t leaves) {
  if (leaves == 1) return first;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < children; ++i)
    sum += serial_skynet(first + i * (leaves / children), leaves / children);
  return sum;
}

std::uint64_t task_group_skynet(std::uint64_t first, std::uint64_t leaves) {
  if (leaves == 1) return first;
  sums parts;
  tbb::task_group group;
  for (std::size_t i = 0; i < children; ++i) {
    group.run([&parts, i, first, below = leaves / children] {
      parts[i] = task_group_skynet(first + i * below, below);
    });
  }
  group.wait();
  return total(parts);
}

std::uint64_t parallel_for_skynet(std::uint64_t first, std::uint64_t leaves) {
  if (leaves == 1) return first;
  sums parts;
  tbb::parallel_for(std::size_t{0}, children, [&parts, first, below = leaves / children](auto i) {
    parts[i] = parallel_for_skynet(first + i * below, below);
  });
  return total(parts);
}

class skynet_problem {
public:
  explicit skynet_problem(std::int64_t n) : leaves_(static_cast<std::uint64_t>(n)) {}

  void prepare() { benchmark::DoNotOptimize(leaves_); }
  bool right() const { return sum_ == leaves_ * (leaves_ - 1) / 2; }
  std::size_t items() const { return (leaves_ * children - 1) / (children - 1); }

  weft::task<> by_weft() { sum_ = co_await skynet(0, leaves_); }
  void serially() { sum_ = serial_skynet(0, leaves_); }
  void by_task_group() { sum_ = task_group_skynet(0, leaves_); }
  void by_parallel_for() { sum_ = parallel_for_skynet(0, leaves_); }

private:
  std::uint64_t leaves_;
  std::uint64_t sum_ = 0;
};

const bool registered = bench::fork_join<skynet_problem>(
    "sched/fork_join_skynet", bench::full_size() ? 100'000'000 : 1'000'000,
    {{"tbb_task_group", &skynet_problem::by_task_group},
     {"tbb_parallel_for", &skynet_problem::by_parallel_for}});

}  // namespace

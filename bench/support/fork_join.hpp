// SPDX-License-Identifier: MIT
#pragma once
// What the fork-join questions share. Each is a problem that is solved by plain recursion, by weft
// and by oneTBB; this header times the ways, on as many workers as they are given, and checks what
// came out. Timed is the solution alone: the threads are there, the problem is laid out before and
// looked at afterwards.
//
// The workloads and their sizes are those of the public comparison of runtimes that others publish
// for (fib, skynet, nqueens, matmul), so that a ratio here can be set beside theirs.

#include "bench/support/measure.hpp"
#include <weft/runtime/task.hpp>

#include <oneapi/tbb/global_control.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace bench {

/// A problem has a constructor from its size and
///   void prepare();               before each solution
///   bool right() const;           after it
///   std::size_t items() const;    what a solution is made of: calls, tasks, nodes, leaves
///   weft::task<> by_weft();       the ways to solve it
///   void serially();
/// and one member function for each way of oneTBB.
template <class Problem>
using solution = void (Problem::*)();

template <class Problem>
struct peer {
  const char* name;
  solution<Problem> solve;
};

template <class Problem, class Solve>
void time_solutions(benchmark::State& state, Problem& problem, Solve solve) {
  for (auto _ : state) {
    state.PauseTiming();
    problem.prepare();
    state.ResumeTiming();
    solve();
    state.PauseTiming();
    if (!problem.right()) state.SkipWithError("wrong result");
    state.ResumeTiming();
  }
  per_item(state, problem.items());
}

template <class Problem>
void solve_on_loop(benchmark::State& state) {
  Problem problem(state.range(0));
  weft::event_loop loop;
  time_solutions(state, problem, [&] { loop.run(problem.by_weft()); });
}

template <class Problem>
void solve_on_pool(benchmark::State& state) {
  Problem problem(state.range(0));
  weft::thread_pool pool({.workers = workers(state, 1)});
  time_solutions(state, problem, [&] { pool.run(problem.by_weft()); });
}

template <class Problem>
void solve_serially(benchmark::State& state) {
  Problem problem(state.range(0));
  time_solutions(state, problem, [&] { problem.serially(); });
}

template <class Problem>
void solve_by_peer(benchmark::State& state, solution<Problem> solve) {
  Problem problem(state.range(0));
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, size(state, 1));
  time_solutions(state, problem, [&] { (problem.*solve)(); });
}

/// Registers a question: weft on a loop and on pools of 1 and 2 workers, oneTBB with as many
/// threads, the serial baseline; weft also with far more workers than there are cores. What two
/// cores can give is shown by two loops at once that share nothing, each with problems of its own:
/// the time is that in which one of the two solves one more.
template <class Problem>
bool fork_join(const std::string& question, std::int64_t n,
               std::initializer_list<peer<Problem>> peers) {
  const auto row = [&](const std::string& variant, auto function) {
    auto* const b = benchmark::RegisterBenchmark((question + "/" + variant).c_str(), function);
    return b->Unit(benchmark::kMillisecond)->Apply(wall_clock);
  };
  row("weft/scheduler:loop", solve_on_loop<Problem>)->ArgNames({"n", "workers"})->Args({n, 1});
  row("weft/scheduler:pool", solve_on_pool<Problem>)
      ->ArgNames({"n", "workers"})
      ->ArgsProduct({{n}, {1, 2, 16, 64}});
  row("loop_for_each_core", solve_on_loop<Problem>)
      ->ArgNames({"n", "workers"})
      ->Args({n, 2})
      ->Threads(2);
  for (const peer<Problem>& p : peers) {
    const auto solve = p.solve;
    row(p.name, [solve](benchmark::State& state) { solve_by_peer<Problem>(state, solve); })
        ->ArgNames({"n", "workers"})
        ->ArgsProduct({{n}, {1, 2}});
  }
  row("serial", solve_serially<Problem>)->ArgName("n")->Arg(n);
  return true;
}

}  // namespace bench

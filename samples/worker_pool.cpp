// SPDX-License-Identifier: MIT
// A channel of jobs, several tasks that work on them, and a second channel for the results.
//
//     worker_pool [--below N] [--tasks N] [--workers N]
//
// Finds the number with the longest Collatz chain (n is followed by n / 2 when it is even, else by
// 3n + 1, down to 1). The channels are bounded: whoever is ahead waits. Everything ends by itself:
// a channel closes when its last sender goes, and what is left in it is still received. On an event
// loop one task computes at a time, on a pool one for each worker; the result is the same.

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct job {
  std::uint64_t from;
  std::uint64_t to;  // not included
};

struct result {
  std::uint64_t number = 0;
  int steps = -1;
  std::size_t done_by = 0;
};

result longest_chain(job range) {
  result longest;
  for (std::uint64_t start = range.from; start < range.to; ++start) {
    int steps = 0;
    for (std::uint64_t n = start; n != 1; ++steps) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    if (steps > longest.steps) longest = {.number = start, .steps = steps};
  }
  return longest;
}

weft::task<> work(std::size_t me, weft::channel_receiver<job> jobs,
                  weft::channel_sender<result> results) {
  while (const auto range = co_await jobs.receive()) {
    result found = longest_chain(*range);
    found.done_by = me;
    co_await results.send(found);
  }
}

weft::task<> hand_out(std::uint64_t below, weft::channel_sender<job> jobs) {
  constexpr std::uint64_t size = 1'000;
  for (std::uint64_t from = 1; from < below; from += size) {
    const job range{.from = from, .to = std::min(from + size, below)};
    co_await jobs.send(range);
  }
}

/// The ends that are passed in go when the tasks have theirs.
void start(weft::task_group& group, std::uint64_t below, std::size_t tasks,
           weft::channel_ends<job> jobs, weft::channel_sender<result> results) {
  group.spawn(hand_out, below, jobs.sender);
  for (std::size_t i = 0; i < tasks; ++i) group.spawn(work, i, jobs.receiver, results);
}

weft::task<> amain(std::uint64_t below, std::size_t tasks) {
  auto [sender, results] = weft::channel<result>(16);
  result longest;
  std::vector<int> jobs_done(tasks);
  const auto body = [&](weft::task_group& group) -> weft::task<> {
    start(group, below, tasks, weft::channel<job>(16), std::move(sender));
    while (const auto found = co_await results.receive()) {
      ++jobs_done[found->done_by];
      // The results come in any order: of two chains as long the smaller number counts.
      if (found->steps > longest.steps ||
          (found->steps == longest.steps && found->number < longest.number)) {
        longest = *found;
      }
    }
  };
  co_await weft::with_task_group(body);
  std::printf("%llu has the longest chain: %d steps\n",
              static_cast<unsigned long long>(longest.number), longest.steps);
  std::printf("jobs done by each task:");
  for (const int done : jobs_done) std::printf(" %d", done);
  std::printf("\n");
}

int main(int argc, char** argv) {
  CLI::App app{"Finds the longest Collatz chain."};
  std::uint64_t below = 1'000'000;
  std::size_t tasks = 4;
  weft::run_options options{.stall_after = 100ms};
  app.add_option("--below", below, "the numbers to look at: from 1 to below this one")
      ->check(CLI::Range(2, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--tasks", tasks, "tasks that work on the jobs")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const auto begin = steady_clock::now();
  weft::run(options, amain(below, tasks));
  const std::chrono::duration<double> time = steady_clock::now() - begin;
  std::printf("%.3f s\n", time.count());
}

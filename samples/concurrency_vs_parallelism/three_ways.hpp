// SPDX-License-Identifier: MIT
#pragma once
// The heart of the demo: the same tasks started in three ways. Nothing in the tasks differs, only
// the line that starts them.

#include <weft/sched/trace.hpp>
#include <weft/weft.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace demo {

/// What a plain loop does: the next task starts when the last one has ended.
template <class T>
weft::task<std::vector<T>> one_after_the_other(std::vector<weft::task<T>> tasks) {
  std::vector<T> results;
  for (weft::task<T>& next : tasks) results.push_back(co_await std::move(next));
  co_return results;
}

/// All of them: whoever waits lets the others go on.
template <class T>
weft::task<std::vector<T>> all_at_once(std::vector<weft::task<T>> tasks) {
  co_return co_await weft::when_all(std::move(tasks));
}

/// A workload as the reader is told of it.
struct lesson {
  std::string name;
  std::string what;                  // is done
  std::string conclusion;            // to draw from the times
  std::array<std::string, 3> notes;  // what to see in the timeline of each way
};

using times = std::vector<std::chrono::nanoseconds>;

class three_ways {
public:
  explicit three_ways(unsigned workers) : workers_{workers} {}

  /// Runs the tasks that `make()` makes, anew for each way.
  ///
  /// Errors: what the tasks throw; runtime_error when the ways do not give the same results.
  template <std::invocable Make>
  times measure(const lesson& about, Make make) {
    recording_.begin_group(about.name + ": " + about.what);
    times taken;
    const auto timed = [&](std::string way, auto run) {
      recording_.begin_section(std::move(way), about.notes[taken.size()]);
      const auto start = std::chrono::steady_clock::now();
      auto results = run();
      taken.push_back(std::chrono::steady_clock::now() - start);
      return results;
    };

    const auto in_turn =
        timed("one after the other", [&] { return weft::run(on(1), one_after_the_other(make())); });
    const auto looped = timed("event loop", [&] { return weft::run(on(1), all_at_once(make())); });
    const auto pooled =
        timed(pool_name(), [&] { return weft::run(on(workers_), all_at_once(make())); });

    if (looped != in_turn || pooled != in_turn) {
      throw std::runtime_error(about.name + ": the three ways do not give the same results");
    }
    return taken;
  }

  std::string pool_name() const { return "pool of " + std::to_string(workers_); }
  const weft::trace_recording& recording() const { return recording_; }

private:
  weft::run_options on(unsigned workers) {
    return {
        .workers = workers, .trace = &recording_, .stall_after = std::chrono::milliseconds(100)};
  }

  const unsigned workers_;
  weft::trace_recording recording_;
};

}  // namespace demo

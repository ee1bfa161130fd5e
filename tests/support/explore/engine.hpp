// SPDX-License-Identifier: MIT
#pragma once

// The interleaving explorer: runs a small scenario of threads over and over, each time under
// another schedule and with other permitted values for its loads, until all are tried (within
// bounds) or something goes wrong. README.md says what is modelled. A scenario is written with the
// types of atomic.hpp; this file is what drives it: the threads (fibers of one real thread), the
// choices, the clocks of happens-before, and the sites at which the code under test touches its
// atomics.

#include "fiber.hpp"
#include "site.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace weft::explore {

/// Threads of a scenario, its set-up (thread 0) included.
inline constexpr unsigned max_threads = 8;

struct options {
  const char* name;              // names the exploration in a replay
  unsigned preemptions = 2;      // per execution: switches away from a thread that could go on
  unsigned stale_reads = 2;      // per execution: loads that see another value than the newest
  std::uint64_t executions = 0;  // systematic ones at most; 0: no limit
  std::uint64_t random_executions = 0;  // in addition, without the two bounds
  std::uint64_t seed = 1;
  std::optional<mutation> mutate{};
};

struct result {
  bool failed = false;
  bool complete = false;  // all executions within the bounds were tried
  std::uint64_t executions = 0;
  std::string report;  // what failed, how to replay it, and the steps that led there
  std::vector<site> sites;
};

/// What a scenario's set-up says. Whatever these functions share they hold by shared_ptr.
class scenario {
public:
  /// Returns the thread's number, from 1; the set-up and the checks run as thread 0.
  unsigned thread(std::function<void()> body) {
    threads_.push_back(std::move(body));
    return static_cast<unsigned>(threads_.size());
  }
  /// Called with the number of a thread whenever that one goes on: to swap what the code under test
  /// has in thread_local variables.
  void on_switch(std::function<void(unsigned thread)> swap) { on_switch_ = std::move(swap); }
  /// Called once in an execution, when no thread can go on and some have not ended: it may check
  /// that this is right, and set free those that wait. Without it that state is a deadlock.
  void at_quiescence(std::function<void()> check) { at_quiescence_ = std::move(check); }
  /// Called when all threads have ended.
  void at_end(std::function<void()> check) { at_end_ = std::move(check); }

private:
  friend class engine;
  std::vector<std::function<void()>> threads_;
  std::function<void()> at_quiescence_, at_end_;
  std::function<void(unsigned)> on_switch_;
};

/// In a build with a sanitizer, which adds nothing to what is explored, at most so many executions
/// are tried in each way, to check the memory safety of the code under test: the search is
/// incomplete.
inline constexpr std::uint64_t sanitized_executions = 1'000;

/// Explores the scenario that `set_up` describes; set_up runs anew for each execution.
result run(const options& how, const std::function<void(scenario&)>& set_up);

/// Explores as `how` says with `how.mutate` set to `m`.
inline result run_mutant(options how, const mutation& m, const std::function<void(scenario&)>& f) {
  how.mutate = m;
  return run(how, f);
}

/// Inside a scenario: fails the execution when `ok` is false.
void check(bool ok, const char* what, std::source_location where = std::source_location::current());

/// What a failure of the code under test is to the exploration: ends the execution.
[[noreturn]] void fail(const std::string& what);

/// Whether a failed execution is being cleared away: what it left is not in order.
bool clearing_away();

/// Inside a scenario: the thread sleeps until `*ready` holds, which only another thread can bring
/// about. It orders no memory: what is behind it must be handed over by the code under test.
void wait_until(const std::function<bool()>& ready);

/// A vector clock: how far into each thread's past the holder can see.
struct clock {
  std::array<std::uint32_t, max_threads> at{};
  void join(const clock& other) {
    for (unsigned i = 0; i != max_threads; ++i) {
      if (at[i] < other.at[i]) at[i] = other.at[i];
    }
  }
};

/// What atomic.hpp asks of the exploration that is under way; not for scenarios.
class engine {
public:
  static engine& active();

  // A step of the current thread: others may run first. Returns the order to use.
  std::memory_order step(access what, std::memory_order order, const std::source_location& where);
  void step();
  // How old a value a load sees, 0 the newest, below `count`.
  unsigned choose_age(unsigned count);
  [[noreturn]] void fail(const std::string& what);
  void block(bool (*ready)(const void*), const void* object);
  // A thread that spins goes on when the atomic that it has looked at last has changed.
  void looked_at(const std::uint32_t& changes, std::uint32_t seen) {
    threads_[self_].looked_at = &changes;
    threads_[self_].changes_seen = seen;
  }
  void spin();
  void trace(const char* what, std::uint64_t value, std::memory_order order, unsigned age,
             const std::source_location& where);

  unsigned self() const { return self_; }
  clock& now() { return threads_[self_].seen; }
  std::uint32_t tick() { return ++threads_[self_].seen.at[self_]; }
  bool knows(unsigned thread, std::uint32_t when) const {
    return when <= threads_[self_].seen.at[thread];
  }
  // The same for what it need not know of but cannot miss: it was done before a heavy fence.
  bool cannot_miss(unsigned thread, std::uint32_t when) const {
    return knows(thread, when) || when <= threads_[self_].fenced.at[thread];
  }
  // All threads pass a full fence here. It hands nothing over that acquire and release have not.
  void heavy_fence();
  // A failed execution is being cleared away: nothing is checked or chosen any more.
  bool lenient() const { return lenient_; }

private:
  friend result run(const options&, const std::function<void(scenario&)>&);
  struct thread_state {
    clock seen;
    clock fenced;  // how far each had come at the last heavy fence
    bool finished = false;
    bool (*ready)(const void*) = nullptr;  // null: can go on
    const void* object = nullptr;
    const std::uint32_t* looked_at = nullptr;
    std::uint32_t changes_seen = 0;
  };
  struct decision {
    std::uint32_t chosen, count;
  };
  struct known_site {
    site at;
    bool mutated;
  };

  explicit engine(const options& how);
  ~engine();
  result explore(const std::function<void(scenario&)>& set_up);
  bool search(result& r, const std::function<void(scenario&)>& set_up);
  bool search_randomly(result& r, const std::function<void(scenario&)>& set_up);
  bool replay(const std::function<void(scenario&)>& set_up);
  bool execute(const std::function<void(scenario&)>& set_up);  // these four: false: it failed
  void run_threads();
  void as_thread_0(const std::function<void()>& job);
  bool next_path();
  unsigned choose(unsigned count, bool prefer_first);
  bool enabled(unsigned thread) const;
  unsigned enabled_from(unsigned first, std::array<unsigned, max_threads>& list) const;
  void switch_to(unsigned fiber_index);
  void reset_fibers();
  static void fiber_main();
  std::string path_text() const;
  void parse_path(const std::string& text);

  enum class mode : std::uint8_t { systematic, random, replay };
  const options how_;
  static constexpr unsigned no_bound = ~0U;
  mode mode_ = mode::systematic;
  unsigned preemption_bound_ = 0, stale_bound_ = 0;
  std::uint64_t random_state_ = 0;

  // the execution under way
  std::vector<decision> path_;
  std::size_t cursor_ = 0;
  unsigned preemptions_ = 0, stale_reads_ = 0, steps_ = 0;
  scenario scenario_;
  std::array<thread_state, max_threads> threads_;
  unsigned thread_count_ = 1;
  unsigned self_ = 0;
  bool scheduling_ = false, failed_ = false, lenient_ = false, tracing_ = false;
  std::string failure_;
  std::vector<std::string> trace_;

  // all executions
  std::string name_, report_;
  std::vector<known_site> sites_;
  std::array<std::unique_ptr<fiber>, max_threads + 1> fibers_;  // the last is who called run()
  unsigned on_fiber_ = max_threads;
  std::function<void()> job_0_;
};

}  // namespace weft::explore

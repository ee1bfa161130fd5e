// SPDX-License-Identifier: MIT
// Random trees of tasks, groups, limits, shields, combinators and locks, with random cancels from
// inside and outside, against what has to hold whatever the schedule was: nobody sees a cancel that
// no scope around it has cause for, nobody goes on waiting under a stopped scope, a limit is never
// early, everything that began has ended, and every permit is back.
#include "support/both_schedulers.hpp"
#include "support/long_tests.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/finally.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace random_tree_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;
using steady = std::chrono::steady_clock;

namespace {

/// A sequence that its seed tells.
class numbers {
public:
  explicit numbers(std::uint64_t seed) noexcept : state_(seed * 2 + 1) {}
  std::uint64_t next() noexcept {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 33;
  }
  unsigned below(unsigned n) noexcept { return static_cast<unsigned>(next() % n); }

private:
  std::uint64_t state_;
};

/// A scope of the tree as the oracle knows it: it is marked before it is stopped.
struct scope_mark {
  const scope_mark* outer = nullptr;  // null: nothing around it reaches what is inside
  std::atomic<bool> may_stop{false};
  steady::time_point deadline = steady::time_point::max();

  bool has_cause() const noexcept {
    for (const scope_mark* s = this; s != nullptr; s = s->outer)
      if (s->may_stop || steady::now() >= s->deadline) return true;
    return false;
  }
};

struct world {
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::atomic<int> cancels{0};
  std::atomic<int> refusals{0};
  std::atomic<int> inside{0};
  std::atomic<const char*> broken{nullptr};
  mutex lock;
  semaphore permits{2};

  void must(bool holds, const char* what) noexcept {
    if (!holds) broken = what;
  }
};

struct counted_task {
  explicit counted_task(world& w) noexcept : all(w) { ++all.begun; }
  counted_task(const counted_task&) = delete;
  counted_task& operator=(const counted_task&) = delete;
  ~counted_task() { ++all.ended; }
  world& all;
};

task<> node(world& w, const scope_mark& scope, std::uint64_t seed, int depth);

/// What a leaf's await came to. A refused leaf asks again: level-triggered means refused again.
task<> leaf_ended(world& w, const scope_mark& scope, std::error_code error) {
  if (!error) co_return;
  w.must(error == cancelled_code(), "an operation failed with something else than a cancel");
  w.must(scope.has_cause(), "a task was cancelled that no scope around it had cause to stop");
  ++w.refusals;
  const result<void> again = co_await as_result(sleep_for(1h));
  w.must(!again, "an await under a stopped scope began to wait");
  throw cancelled();
}

std::chrono::microseconds short_time(numbers& random) {
  return std::chrono::microseconds(random.below(8) == 0 ? random.below(200) : random.below(10));
}

task<> locked(world& w, const scope_mark& scope, std::uint64_t seed) {
  numbers random(seed);
  result<mutex_lock> lock = co_await as_result(w.lock.lock());
  if (lock) {
    w.must(++w.inside == 1, "two tasks hold the mutex");
    const result<void> r = co_await as_result(sleep_for(short_time(random)));
    --w.inside;
    lock->unlock();
    co_await leaf_ended(w, scope, r.error());
  } else {
    co_await leaf_ended(w, scope, lock.error());
  }
}

task<> permitted(world& w, const scope_mark& scope, std::uint64_t seed) {
  numbers random(seed);
  const result<semaphore_permit> permit = co_await as_result(w.permits.acquire());
  co_await leaf_ended(w, scope, permit.error());
  const result<void> r = co_await as_result(sleep_for(short_time(random)));
  co_await leaf_ended(w, scope, r.error());
}

task<> group_node(world& w, const scope_mark& outer, std::uint64_t seed, int depth) {
  numbers random(seed);
  scope_mark scope{.outer = &outer};
  const bool cancels = random.below(3) != 0;
  auto body = [&](task_group& group) -> task<> {
    std::vector<join_handle<void>> handles;
    const unsigned children = 1 + random.below(4);
    for (unsigned i = 0; i < children; ++i)
      handles.push_back(group.spawn(node, std::ref(w), std::cref(scope), random.next(), depth - 1));
    const result<void> slept = co_await as_result(sleep_for(short_time(random)));
    if (cancels) {
      scope.may_stop = true;
      ++w.cancels;
      group.cancel();
    }
    co_await leaf_ended(w, scope, slept.error());
  };
  co_await with_task_group({.max_concurrency = random.below(3)}, body);
}

task<> limit_node(world& w, const scope_mark& outer, std::uint64_t seed, int depth) {
  numbers random(seed);
  const auto limit = short_time(random);
  scope_mark scope{.outer = &outer, .deadline = steady::now() + limit};
  ++w.cancels;
  try {
    co_await with_timeout(limit, node(w, scope, random.next(), depth - 1));
  } catch (const timeout_error&) {
    w.must(steady::now() >= scope.deadline, "a limit was early");
  }
}

task<> any_node(world& w, const scope_mark& outer, std::uint64_t seed, int depth) {
  numbers random(seed);
  scope_mark scope{.outer = &outer};
  scope.may_stop = true;  // from the moment on in which one has won
  ++w.cancels;
  std::vector<task<>> children;
  for (unsigned i = 0; i < 1 + random.below(3); ++i)
    children.push_back(node(w, scope, random.next(), depth - 1));
  const std::size_t count = children.size();
  const when_any_result<void> r = co_await when_any(std::move(children));
  w.must(r.index < count, "when_any named a winner that there is not");
}

task<> shield_node(world& w, std::uint64_t seed, int depth) {
  numbers random(seed);
  const auto limit = short_time(random) * 10;
  scope_mark scope{.deadline = steady::now() + limit};
  try {
    co_await shield(node(w, scope, random.next(), depth - 1), limit);
  } catch (const timeout_error&) {
    w.must(steady::now() >= scope.deadline, "a shield's limit was early");
  }
}

task<> node(world& w, const scope_mark& scope, std::uint64_t seed, int depth) {
  const counted_task here(w);
  numbers random(seed);
  if (random.below(16) == 0) {  // only a stop ends it, and the root's comes
    const result<void> r = co_await as_result(sleep_for(1h));
    co_await leaf_ended(w, scope, r.error());
    co_return;
  }
  const unsigned kind = depth == 0 ? random.below(4) : random.below(10);
  switch (kind) {
  case 0: {
    const result<void> r = co_await as_result(sleep_for(short_time(random)));
    co_await leaf_ended(w, scope, r.error());
    break;
  }
  case 1: {
    const result<void> r = co_await as_result(yield());
    co_await leaf_ended(w, scope, r.error());
    break;
  }
  case 2:
    co_await locked(w, scope, random.next());
    break;
  case 3:
    co_await permitted(w, scope, random.next());
    break;
  case 4:
  case 5:
    co_await group_node(w, scope, random.next(), depth);
    break;
  case 6:
    co_await limit_node(w, scope, random.next(), depth);
    break;
  case 7:
    co_await any_node(w, scope, random.next(), depth);
    break;
  case 8:
    co_await shield_node(w, random.next(), depth);
    break;
  default:
    co_await when_all(node(w, scope, random.next(), depth - 1),
                      node(w, scope, random.next(), depth - 1));
  }
}

/// One tree, whose root is cancelled at a random time. Never throws: the root absorbs it.
task<> tree(world& w, std::uint64_t seed) {
  numbers random(seed);
  scope_mark scope;
  auto body = [&](task_group& group) -> task<> {
    for (int i = 0; i < 3; ++i) group.spawn(node, std::ref(w), std::cref(scope), random.next(), 4);
    const result<void> slept = co_await as_result(sleep_for(short_time(random) * 4));
    w.must(slept.has_value(), "the root was stopped by nobody");
    scope.may_stop = true;
    ++w.cancels;
    group.cancel();
  };
  co_await with_task_group(body);
}

}  // namespace

TEST_SUITE("runtime/random_tree") {
  TEST_CASE("random trees with random cancels break no promise, whatever the seed") {
    on_both([](const run_options& options) {
      const int cancels_wanted = tests::repetitions(20'000, 500'000);
      world w;
      std::uint64_t seed = 1;
      while (w.cancels < cancels_wanted && w.broken == nullptr) {
        CAPTURE(seed);
        auto several = [&]() -> task<> {
          auto body = [&](task_group& group) -> task<> {
            for (int i = 0; i < 8; ++i)
              group.spawn(tree, std::ref(w), seed + static_cast<unsigned>(i));
            co_return;
          };
          co_await with_task_group(body);
        };
        run_options each = options;
        run(each, several());
        const char* const broken = w.broken;
        CHECK_MESSAGE(broken == nullptr, std::string(broken == nullptr ? "" : broken));
        seed += 8;
      }
      CHECK(w.begun == w.ended);
      CHECK(w.inside == 0);
      CHECK(w.permits.available() == 2);
      CHECK(w.lock.try_lock().has_value());
      CHECK(w.refusals > 100);
    });
  }
}

}  // namespace random_tree_test

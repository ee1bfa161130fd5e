// SPDX-License-Identifier: MIT
#include "weft/runtime/promise.hpp"

#include "support/both_schedulers.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <vector>

namespace promise_test {

using namespace weft;
using tests::on_both;

namespace {

/// Gives a coroutine its own promise, without suspending it.
struct own : detail::operation_tag {
  detail::promise_base* promise = nullptr;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  detail::promise_base* await_resume() const noexcept { return promise; }
};

struct place {
  unsigned line;
  std::string function;
};

/// Where each one stands, from a coroutine up to whoever waits for it.
std::vector<place> walk_from(const detail::promise_base* p) {
  std::vector<place> found;
  while (p != nullptr) {
    found.push_back({p->line.line(), p->line.function_name()});
    p = p->awaiter != nullptr ? p->awaiter : p->strand_->parent();
  }
  return found;
}

// Atomic: two of them may run at once.
std::atomic<unsigned> line_in_leaf = 0;
std::atomic<unsigned> line_in_middle = 0;
std::atomic<unsigned> line_in_top = 0;

task<std::vector<place>> leaf() {
  own here;
  line_in_leaf = __LINE__ + 1;
  const detail::promise_base* const self = co_await here;
  co_return walk_from(self);
}

task<std::vector<place>> middle() {
  line_in_middle = __LINE__ + 1;
  std::vector<place> found = co_await leaf();
  co_return found;
}

task<std::vector<place>> top() {
  line_in_top = __LINE__ + 1;
  std::vector<place> found = co_await middle();
  co_return found;
}

task<std::vector<place>> through_when_all() {
  line_in_top = __LINE__ + 1;
  auto both = co_await when_all(leaf(), middle());
  co_return std::get<0>(both);
}

task<std::vector<place>> through_a_group() {
  std::vector<place> found;
  auto body = [&found](task_group& g) -> task<> {
    g.spawn([&found]() -> task<> {
      std::vector<place> seen = co_await leaf();
      found = std::move(seen);
    });
    co_return;
  };
  line_in_top = __LINE__ + 1;
  co_await with_task_group(body);
  co_return found;
}

task<std::vector<place>> through_another_scheduler(scheduler& there) {
  line_in_top = __LINE__ + 1;
  std::vector<place> found = co_await on(there, middle());
  co_return found;
}

}  // namespace

TEST_SUITE("runtime/promise") {
  TEST_CASE("whoever awaits a task is found from it, each with the line of its co_await") {
    on_both([](const run_options& options) {
      const std::vector<place> found = run(options, top());
      REQUIRE(found.size() >= 3);
      CHECK(found[0].line == line_in_leaf);
      CHECK(found[0].function.find("leaf") != std::string::npos);
      CHECK(found[1].line == line_in_middle);
      CHECK(found[1].function.find("middle") != std::string::npos);
      CHECK(found[2].line == line_in_top);
      CHECK(found[2].function.find("top") != std::string::npos);
    });
  }

  TEST_CASE("the walk goes on above an argument of when_all") {
    on_both([](const run_options& options) {
      const std::vector<place> found = run(options, through_when_all());
      REQUIRE(found.size() >= 2);
      CHECK(found[0].line == line_in_leaf);
      CHECK(found[1].line == line_in_top);
      CHECK(found[1].function.find("through_when_all") != std::string::npos);
    });
  }

  TEST_CASE("the walk goes on from a spawned task to whoever waits for its group") {
    on_both([](const run_options& options) {
      const std::vector<place> found = run(options, through_a_group());
      REQUIRE(found.size() >= 3);
      CHECK(found[0].line == line_in_leaf);
      CHECK(found.back().line == line_in_top);
      CHECK(found.back().function.find("through_a_group") != std::string::npos);
    });
  }

  TEST_CASE("the walk goes on from a task that came by on to its caller on another scheduler") {
    on_both([](const run_options& options) {
      thread_pool other({.workers = 2});
      const std::vector<place> found = run(options, through_another_scheduler(other));
      // Between the two stands on() itself, which the caller awaits.
      REQUIRE(found.size() >= 4);
      CHECK(found[0].line == line_in_leaf);
      CHECK(found[1].line == line_in_middle);
      CHECK(found[3].line == line_in_top);
      CHECK(found[3].function.find("through_another_scheduler") != std::string::npos);
    });
  }

  TEST_CASE("a task that has not reached a co_await stands at its own name") {
    task<std::vector<place>> t = top();
    const detail::promise_base& p = detail::task_access::promise(t);
    CHECK(std::string(p.line.function_name()).find("top") != std::string::npos);
    CHECK(p.line.line() != 0);
  }
}

}  // namespace promise_test

// SPDX-License-Identifier: MIT
#include "weft/io/kernel/fork_guard.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/ring_operations.hpp"
#include "weft/io/blocking.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <optional>
#include <system_error>

#include <sys/wait.h>
#include <unistd.h>

namespace fork_guard_test {

using namespace weft;
using tests::in_child;
using tests::nop;

namespace {

task<int> number(int n) { co_return n; }

task<int> number_of_a_helper(int n) {
  const int same = co_await blocking([](int k) { return k; }, n);
  co_return same;
}

/// Has a scheduler of the parent's run a task in the child; says what it throws. 0 when that is the
/// right error, and nothing hangs that comes after.
template <class Scheduler>
int use_in_child(std::optional<Scheduler>& of_parent) {
  int wrong = 1;
  try {
    (void)of_parent->run(number(1));
  } catch (const std::system_error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    wrong = e.code() == std::errc::operation_not_permitted ? 0 : 2;
  }
  of_parent.reset();
  return run(number(3)) == 3 ? wrong : 3;
}

enum class goes_on_by { yield, operation };

/// Forks inside a task. 0 when the child, which goes on as if nothing had been, is aborted.
task<int> fork_inside(goes_on_by way) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    for (;;) {
      if (way == goes_on_by::yield) {
        co_await yield();
      } else {
        nop op;
        co_await op;
      }
    }
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) co_return 1;
  co_return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 0 : 2;
}

}  // namespace

TEST_SUITE("io/fork_guard") {
  TEST_CASE("a guard knows the forks after it, not those before") {
    const detail::fork_guard outer;
    CHECK_FALSE(outer.in_forked_child());
    const auto end = in_child([&] {
      const detail::fork_guard middle;
      if (!outer.in_forked_child() || middle.in_forked_child()) return 1;
      const auto inner =
          in_child([&] { return outer.in_forked_child() && middle.in_forked_child() ? 0 : 1; });
      return inner.exited_with(0) && !middle.in_forked_child() ? 0 : 2;
    });
    CHECK(end.exited_with(0));
    CHECK_FALSE(outer.in_forked_child());
  }

  TEST_CASE("a pool made before a fork refuses to run in the child, and is destroyed there") {
    std::optional<thread_pool> pool;
    pool.emplace(run_options{.workers = 2});
    CHECK(pool->run(number_of_a_helper(5)) == 5);
    const auto end = in_child([&] { return use_in_child(pool); });
    INFO(end.said);
    CHECK(end.exited_with(0));
    CHECK(end.said.find("made before fork()") != std::string::npos);
    CHECK(pool->run(number(6)) == 6);
  }

  TEST_CASE("a loop made before a fork refuses to run in the child, and is destroyed there") {
    std::optional<event_loop> loop;
    loop.emplace();
    CHECK(loop->run(number_of_a_helper(5)) == 5);
    const auto end = in_child([&] { return use_in_child(loop); });
    INFO(end.said);
    CHECK(end.exited_with(0));
    CHECK(end.said.find("made before fork()") != std::string::npos);
    CHECK(loop->run(number(6)) == 6);
  }

  TEST_CASE("a post to a pool made before a fork ends the child with a message") {
    thread_pool pool({.workers = 2});
    const std::string said = tests::dying_words([&] { pool.post([] {}); });
    CHECK(said.find("forked child") != std::string::npos);
    CHECK(pool.run(number(6)) == 6);
  }

  TEST_CASE("a child that is forked inside a task ends with a message when it goes on") {
    for (const unsigned workers : {1u, 2u}) {
      for (const goes_on_by way : {goes_on_by::yield, goes_on_by::operation}) {
        CAPTURE(workers);
        CAPTURE(static_cast<int>(way));
        const auto end = in_child([=] { return run({.workers = workers}, fork_inside(way)); });
        INFO(end.said);
        CHECK(end.exited_with(0));
        CHECK(end.said.find("forked child") != std::string::npos);
      }
    }
  }
}

}  // namespace fork_guard_test

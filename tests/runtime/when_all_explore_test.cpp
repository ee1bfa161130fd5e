// SPDX-License-Identifier: MIT

// when_all under every interleaving (within the bounds of the explorer) of children that are run by
// their owner, stolen, woken elsewhere and stopped: the parent goes on once, after all of them, on
// whatever worker the last one ended, with what each has written, and nobody touches a child's
// record afterwards. Each order that is weakened and each rule that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/when_all.hpp"

#include <doctest/doctest.h>

#include <array>
#include <utility>
#include <vector>

namespace when_all_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;
using weft::task;
using weft::when_all;

struct state : world {
  using world::world;

  weft::semaphore given{0};
  plain<int> before, joined;
  std::array<plain<int>, 12> ended;  // one for each child
};

template <class State = state>
std::shared_ptr<State> thieves(scenario& s, unsigned workers) {
  const auto st = world::make<State>(s, workers);
  st->let_steal();
  return st;
}

void note_end(state& st, std::size_t me) {
  check(st.before.read() == 1, "what was written before the fork has been handed over");
  st.ended[me].write(st.ended[me].read() + 1);
}

task<> child(state& st, std::size_t me) {
  note_end(st, me);
  co_return;
}

// It has no budget when it ends: what comes next goes through the worker's loop.
task<> tired_child(state& st, std::size_t me) {
  note_end(st, me);
  detail::current_worker()->use_up();
  co_return;
}

task<> waiting_child(state& st, std::size_t me) {
  auto acquire = st.given.acquire();
  auto permit = co_await as_result(std::move(acquire));
  check(permit || st.root().stop_requested(), "a wait ends by a permit or by a stop");
  note_end(st, me);
}

void check_joined(state& st, std::size_t children) {
  for (std::size_t i = 0; i != children; ++i) {
    check(st.ended[i].read() == 1, "all have ended once, and what they wrote is handed over");
  }
  st.joined.write(st.joined.read() + 1);
  check(st.joined.read() == 1, "the parent goes on once");
}

using make_child = task<> (*)(state&, std::size_t);

actor join_two(state& st, make_child first, make_child second) {
  st.before.write(1);
  auto both = when_all(first(st, 0), second(st, 1));
  co_await std::move(both);
  check_joined(st, 2);
}

actor join_three(state& st) {
  st.before.write(1);
  auto all = when_all(child(st, 0), child(st, 1), child(st, 2));
  co_await std::move(all);
  check_joined(st, 3);
}

// So many that what is forked is halved.
actor join_many(state& st) {
  st.before.write(1);
  auto all = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return when_all(child(st, I)...);
  }(std::make_index_sequence<12>{});
  co_await std::move(all);
  check_joined(st, 12);
}

task<> fork_again(state& st, std::size_t me) {
  auto both = when_all(child(st, me), child(st, me + 1));
  co_await std::move(both);
}

actor join_nested(state& st) {
  st.before.write(1);
  auto both = when_all(fork_again(st, 0), fork_again(st, 2));
  co_await std::move(both);
  check_joined(st, 4);
}

actor give(state& st, int permits) {
  own_promise own;
  (void)co_await own;
  for (int i = 0; i != permits; ++i) st.given.release();
}

actor stop(state& st) {
  own_promise own;
  (void)co_await own;
  st.root().request_stop();
}

void two_children(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_two(*st, child, child));
}

void three_children(scenario& s) {
  const auto st = thieves(s, 3);
  st->spawn(0, join_three(*st));
}

void many_children(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_many(*st));
}

void without_budget(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_two(*st, tired_child, tired_child));
}

void nested(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_nested(*st));
}

// The children are woken by another worker, each of them.
void two_wait(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_two(*st, waiting_child, waiting_child));
  st->spawn(1, give(*st, 2));
}

// One is woken by who gives, or all are by a stop; the parent and its frame go meanwhile.
void a_stop_comes_by(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, join_two(*st, waiting_child, child));
  st->spawn(1, give(*st, 1));
  st->spawn(1, stop(*st));
}

void both_are_stopped(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, join_two(*st, waiting_child, waiting_child));
  st->stopper(s);
}

const std::vector<exploration>& joins() {
  static const std::vector<exploration> all{
      explored("when_all/two children", two_children, 4),
      explored("when_all/three children", three_children, 2),
      explored("when_all/many children", many_children, 2),
      explored("when_all/without budget", without_budget, 3),
      explored("when_all/nested", nested, 2),
      explored("when_all/two wait", two_wait, 2),
      explored("when_all/a stop comes by", a_stop_comes_by, 2),
      explored("when_all/both are stopped", both_are_stopped, 2),
  };
  return all;
}

TEST_SUITE("runtime/when_all explored") {
  TEST_CASE("the parent goes on once, when all children have ended, and sees what they did") {
    for (const exploration& e : joins()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of the join that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("when_all").empty())) {
    const verdict v = drop_each(joins(), "when_all", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 3);
  }

  TEST_CASE("each memory order of the join that is weakened is noticed" *
            doctest::skip(sanitized())) {
    const verdict v = weaken_each(joins(), {"/fork_join.hpp", "/fork_join.cpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 3);
  }
}

}  // namespace

}  // namespace when_all_explore_test

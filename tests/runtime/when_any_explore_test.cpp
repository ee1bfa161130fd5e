// SPDX-License-Identifier: MIT

// when_any under every interleaving (within the bounds of the explorer) of children that end at
// once, are stopped by the winner, or by a stop from outside: the winner is decided once, the
// others are stopped and have ended when it returns, its value is handed over and theirs are not
// lost, and nobody touches the scope afterwards. Each rule that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/when_any.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace when_any_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;
using weft::task;
using weft::when_any;

struct state : world {
  using world::world;
  ~state() override {
    check(given.available() == permits, "a permit that a loser has got has come back");
  }

  weft::semaphore never{0}, given{0};
  std::size_t permits = 0;                     // that are given
  std::array<plain<int>, 2> ended, completed;  // of each child
};

std::shared_ptr<state> thieves(scenario& s, unsigned workers, std::size_t permits = 0) {
  const auto st = world::make<state>(s, workers);
  st->permits = permits;
  st->let_steal();
  return st;
}

using value = std::unique_ptr<plain<int>>;

// Ends at once.
task<value> quick(state& st, std::size_t me) {
  value made = std::make_unique<plain<int>>(static_cast<int>(me));
  st.ended[me].write(1);
  co_return made;
}

task<value> wait_for_a_stop(state& st, std::size_t me) {
  auto acquire = st.never.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(!permit, "nobody gives what a loser waits for");
  st.ended[me].write(1);
  throw weft::cancelled();
}

task<value> fails(state& st, std::size_t me) {
  st.ended[me].write(1);
  throw std::system_error(static_cast<int>(me) + 1, std::generic_category());
  co_return nullptr;
}

task<weft::semaphore_permit> take(state& st, std::size_t me) {
  auto acquire = st.given.acquire();
  auto permit = co_await as_result(std::move(acquire));
  st.ended[me].write(1);
  if (!permit) throw weft::cancelled();
  st.completed[me].write(1);
  co_return *std::move(permit);
}

void check_joined(state& st) {
  for (std::size_t i = 0; i != 2; ++i) {
    check(st.ended[i].read() == 1, "the losers have ended, too");
  }
}

using make_child = task<value> (*)(state&, std::size_t);

actor first_of_two(state& st, make_child first, make_child second, std::size_t must_win = 2) {
  auto any = when_any(first(st, 0), second(st, 1));
  const auto won = co_await std::move(any);
  check_joined(st);
  check(must_win == 2 || won.index() == must_win, "the first to complete wins");
  const value& its = won.index() == 0 ? std::get<0>(won) : std::get<1>(won);
  check(its->read() == static_cast<int>(won.index()), "the winner's value is handed over");
}

actor first_failure(state& st) {
  auto any = when_any(fails(st, 0), fails(st, 1));
  const auto won = co_await as_result(std::move(any));
  check_joined(st);
  check(!won && (won.error().value() == 1 || won.error().value() == 2),
        "the winner's exception is rethrown");
}

// The outcome of all: with `settled` losers hand theirs over.
actor first_permit(state& st) {
  auto any = when_any(take(st, 0), take(st, 1));
  const auto won = co_await as_result(std::move(any));
  check_joined(st);
  if (won) {
    check(st.completed[won->index()].read() == 1, "who wins has completed");
  } else {
    check(st.root().stop_requested(), "it is cancelled under a stop only");
    for (const auto& child : st.completed) {
      check(child.read() == 0, "who has completed wins, whatever stops the others");
    }
  }
}

actor all_permits(state& st) {
  auto any = weft::when_any_settled(take(st, 0), take(st, 1));
  const auto settled = co_await std::move(any);
  check_joined(st);
  const bool had[] = {std::get<0>(settled.results).has_value(),
                      std::get<1>(settled.results).has_value()};
  check(had[settled.index], "who wins has completed");
  for (std::size_t i = 0; i != 2; ++i) {
    check(had[i] == (st.completed[i].read() == 1), "what a loser has got is handed over");
  }
}

actor give(state& st) {
  own_promise own;
  (void)co_await own;
  for (std::size_t i = 0; i != st.permits; ++i) st.given.release();
}

actor stop(state& st) {
  own_promise own;
  (void)co_await own;
  st.root().request_stop();
}

void two_end_at_once(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, first_of_two(*st, quick, quick));
}

// On one worker the first has won when the second begins.
void the_second_does_not_wait(scenario& s) {
  const auto st = thieves(s, 1);
  st->spawn(0, first_of_two(*st, quick, quick, 0));
}

void the_loser_waits(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, first_of_two(*st, wait_for_a_stop, quick, 1));
}

void the_loser_begins_to_wait(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, first_of_two(*st, quick, wait_for_a_stop, 0));
}

void two_fail(scenario& s) {
  const auto st = thieves(s, 2);
  st->spawn(0, first_failure(*st));
}

void one_is_given(scenario& s) {
  const auto st = thieves(s, 2, 1);
  st->spawn(0, first_permit(*st));
  st->spawn(1, give(*st));
}

void both_are_given(scenario& s) {
  const auto st = thieves(s, 2, 2);
  st->spawn(0, all_permits(*st));
  st->spawn(1, give(*st));
}

void a_stop_meets_the_winner(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->permits = 1;
  st->spawn(0, first_permit(*st));
  st->spawn(1, give(*st));
  st->spawn(1, stop(*st));
}

const std::vector<exploration>& races() {
  static const std::vector<exploration> all{
      explored("when_any/two end at once", two_end_at_once, 3),
      explored("when_any/the second does not wait", the_second_does_not_wait, 1),
      explored("when_any/the loser waits", the_loser_waits, 3),
      explored("when_any/the loser begins to wait", the_loser_begins_to_wait, 3),
      explored("when_any/two fail", two_fail, 2),
      explored("when_any/one is given", one_is_given, 2),
      explored("when_any/both are given", both_are_given, 2),
      explored("when_any/a stop meets the winner", a_stop_meets_the_winner, 2),
  };
  return all;
}

TEST_SUITE("runtime/when_any explored") {
  TEST_CASE("one wins, the others are stopped and have ended, and nothing is lost") {
    for (const exploration& e : races()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of the race that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("when_any").empty())) {
    const verdict v = drop_each(races(), "when_any", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 3);
  }
}

}  // namespace

}  // namespace when_any_explore_test

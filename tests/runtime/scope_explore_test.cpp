// SPDX-License-Identifier: MIT

// A scope under every interleaving (within the bounds of the explorer) of strands that link, wait
// and leave, stops from inside and outside, holds that come late, and the opener that joins: every
// strand that waits hears of a stop, the scope is empty once and nobody touches it afterwards, and
// whoever joined it sees what was done inside. Each order that is weakened and each rule that is
// dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/scope_join.hpp"
#include "weft/runtime/semaphore.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <utility>
#include <vector>

namespace scope_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;

struct state : world {
  using world::world;

  weft::semaphore never{0}, given{0};
  plain<int> reason, work;
};

// Nobody gives what it waits for.
actor wait_for_a_stop(state& st) {
  auto acquire = st.never.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(!permit && st.reason.read() == 1, "what was written before the stop has been handed over");
}

actor wait_for_given(state& st) {
  auto acquire = st.given.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(permit || st.root().stop_requested(), "a wait ends by a permit or by a stop");
}

actor give(state& st) {
  own_promise own;
  (void)co_await own;
  st.given.release();
}

actor stop(state& st, detail::cancel_scope* scope = nullptr) {
  own_promise own;
  (void)co_await own;
  st.reason.write(1);
  (scope != nullptr ? *scope : st.root()).request_stop();
}

void outsider_stops(scenario& s, state& st) {
  st.outsider(s, [&st] {
    st.reason.write(1);
    st.root().request_stop();
  });
}

void two_wait(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, wait_for_a_stop(*st));
  st->spawn(1, wait_for_a_stop(*st));
  outsider_stops(s, *st);
}

// Strands come and go on two workers while the walk is under way.
void some_leave(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, wait_for_given(*st));
  st->spawn(0, stop(*st));
  st->spawn(1, give(*st));
  st->spawn(1, wait_for_given(*st));
}

// Two who stop it at the same time: one of them is the cause.
void stopped_twice(scenario& s) {
  const auto st = world::make<state>(s, 1);
  st->spawn(0, wait_for_given(*st));
  for (int i = 0; i != 2; ++i) {
    st->outsider(s, [st = st.get()] {
      st->root().request_stop();
      check(st->root().stop_requested(), "a stop is seen by who requested it");
    });
  }
}

// More strands than are visited in one go.
void more_than_a_slice(scenario& s) {
  const auto st = world::make<state>(s, 2);
  for (int i = 0; i <= detail::cancel_scope::slice_max + 1; ++i) {
    st->spawn(0, wait_for_a_stop(*st));
  }
  st->spawn(0, stop(*st));
}

actor child(state& st) {
  own_promise own;
  (void)co_await own;
  st.work.write(1);
}

enum class inside : unsigned char { joins_at_once, stops_first, waits_first };

// Opens a scope, has a child run in there on the other worker, and joins.
actor open_and_join(state& st, inside what, actor in_there) {
  own_promise own;
  detail::strand& line = detail::strand_of(co_await own);
  {
    detail::joinable_scope inner(st);
    line.open(inner);
    st.spawn(1, inner, in_there);
    if (what == inside::stops_first) {
      st.reason.write(1);
      inner.request_stop();
    } else if (what == inside::waits_first) {
      auto acquire = st.never.acquire();
      const auto permit = co_await as_result(std::move(acquire));
      check(!permit, "the wait was ended by a stop");
    }
    detail::scope_join join(inner);
    co_await join;
    if (what == inside::joins_at_once && !inner.stop_requested()) {
      check(st.work.read() == 1, "what the child wrote has been handed over");
    }
    line.close(inner);
    st.ends(&inner, sizeof inner);
  }
}

void join_a_child(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open_and_join(*st, inside::joins_at_once, child(*st)));
}

void stop_a_child_and_join(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open_and_join(*st, inside::stops_first, wait_for_a_stop(*st)));
}

// The stop comes from around the scope, while its opener joins and the child waits.
void stop_from_around(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open_and_join(*st, inside::joins_at_once, wait_for_a_stop(*st)));
  st->spawn(1, stop(*st));
}

// The child stops the scope in which its opener waits.
actor stop_own_scope(state& st) {
  own_promise own;
  const detail::strand& line = detail::strand_of(co_await own);
  st.reason.write(1);
  line.scope().request_stop();
}

void a_child_stops_its_opener(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open_and_join(*st, inside::waits_first, stop_own_scope(*st)));
}

// A scope whose place outlives it, as that of a group does which a stop_handle reaches.
struct lasting : state {
  struct scope : detail::cancel_scope {
    explicit scope(lasting& l)
        : cancel_scope(l,
                       [](cancel_scope& s) noexcept {
                         lasting& at = *static_cast<scope&>(s).home;
                         check(!at.empty.read(), "a scope is empty once");
                         at.empty.write(true);
                         check(!s.try_hold(), "an empty scope stays empty");
                       }),
          home(&l) {}
    lasting* home;
  };

  using state::state;
  plain<bool> empty;
  scope late{*this};
};

void a_hold_comes_late(scenario& s) {
  const auto st = world::make<lasting>(s, 1);
  for (int i = 0; i != 2; ++i) {
    st->outsider(s, [st = st.get()] {
      if (!st->late.try_hold()) return;
      st->late.request_stop();
      st->late.release();
    });
  }
  st->outsider(s, [st = st.get()] { st->late.release(); });
}

exploration explored(const char* name, void (*set_up)(scenario&), unsigned preemptions = 3) {
  return {{.name = name,
           .preemptions = preemptions,
           .stale_reads = 2,
           .random_executions = preemptions == 0 ? 0U : 2'000U},
          set_up};
}

const std::vector<exploration>& scopes() {
  static const std::vector<exploration> all{
      explored("scope/join a child", join_a_child),
      explored("scope/stop a child and join", stop_a_child_and_join),
      explored("scope/stop from around", stop_from_around),
      explored("scope/a child stops its opener", a_child_stops_its_opener),
      explored("scope/a hold comes late", a_hold_comes_late, 1),
      explored("scope/stopped twice", stopped_twice, 2),
      explored("scope/some leave", some_leave),
      explored("scope/two wait", two_wait, 2),
      explored("scope/more than a slice", more_than_a_slice, 0),
  };
  return all;
}

constexpr excuse excuses[] = {
    {"try_hold rmw acq_rel",
     "it tells a worker that goes to sleep of who stops a scope from outside (O3 of "
     "sched/detail/outside_work.hpp), and nobody looks for deadlocks here"},
};

TEST_SUITE("runtime/scope explored") {
  TEST_CASE("a stop reaches all that wait, and a scope ends once, untouched afterwards") {
    for (const exploration& e : scopes()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of a scope that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("scope").empty())) {
    const verdict v = drop_each(scopes(), "scope", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 12);
  }

  TEST_CASE("each memory order that is weakened is noticed, but for those excused" *
            doctest::skip(sanitized())) {
    const verdict v = weaken_each(scopes(), {"/scope.hpp", "/scope.cpp"}, excuses);
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 4);
  }
}

}  // namespace

}  // namespace scope_explore_test

// SPDX-License-Identifier: MIT

// Time limits and shields under every interleaving (within the bounds of the explorer) of the time
// that comes on one worker with the end of what is awaited on another, and with stops from outside:
// what came first is decided once, timeout_error is thrown by the scope whose deadline came and by
// no other, a result that was there is delivered, no stop passes a shield, and nobody touches a
// scope after its end. Each rule that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

namespace with_timeout_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using std::chrono::nanoseconds;
using weft::as_result;
using weft::semaphore_permit;
using weft::task;

constexpr nanoseconds limit{10};

struct state : world {
  using world::world;
  ~state() override { check(given.available() == permits, "no permit is lost"); }

  weft::semaphore never{0}, given{0};
  std::size_t permits = 0;  // that are given
  plain<int> entered, left;
  plain<detail::stop_cause> seen;  // by who was stopped, in its scope
  bool begun = false;  // what has to be stopped; changed between the steps of the explorer
};

task<semaphore_permit> take(state& st) {
  st.entered.write(1);
  auto acquire = st.given.acquire();
  auto permit = co_await std::move(acquire);
  check(st.entered.read() == 1, "what was written before the wait is there after it");
  st.left.write(1);
  co_return permit;
}

task<> wait_for_a_stop(state& st) {
  own_promise own;
  const detail::strand& line = detail::strand_of(co_await own);
  st.begun = true;
  auto acquire = st.never.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(!permit, "nobody gives");
  st.seen.write(line.scope().cause());
  throw weft::cancelled();
}

bool was_cancelled(const std::error_code& e) { return e == std::errc::operation_canceled; }
bool was_timed_out(const std::error_code& e) { return e == std::errc::timed_out; }

template <class Result>
void check_outcome(state& st, const Result& r, bool may_be_cancelled = true) {
  if (r) return;
  if (was_timed_out(r.error())) {
    check(st.time_has_come(), "timeout_error is thrown when the time was up");
  } else {
    check(was_cancelled(r.error()) && may_be_cancelled, "else it ends by a stop only");
    check(st.root().stop_requested(), "a stop that reaches it was requested");
  }
}

// Whoever was stopped while the limit or the shield stood hears of it in the next await.
task<> check_next_await(state& st) {
  const bool stopped = st.root().stop_requested();
  auto acquire = st.given.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(!permit || !stopped, "a stop from outside is not lost");
}

actor within_a_limit(state& st) {
  auto limited = weft::with_timeout(limit, take(st));
  const auto r = co_await as_result(std::move(limited));
  if (r) check(st.left.read() == 1, "what the task wrote has been handed over");
  check_outcome(st, r);
}

// An operation alone: no exception anywhere.
actor operation_within_a_limit(state& st) {
  auto limited = weft::with_timeout(limit, st.given.acquire());
  const auto r = co_await as_result(std::move(limited));
  check_outcome(st, r);
}

// It ends by its deadline, or by a stop from outside.
actor until_the_time_comes(state& st) {
  auto limited = weft::with_timeout(limit, wait_for_a_stop(st));
  const auto r = co_await as_result(std::move(limited));
  check(!r, "nobody gives");
  check_outcome(st, r);
  const bool by_deadline = st.seen.read() == detail::stop_cause::deadline;
  check(was_timed_out(r.error()) == by_deadline, "the first cause is the one that counts");
}

// Children within it, on several workers.
task<> two_wait(state& st) {
  auto both = weft::when_all(wait_for_a_stop(st), take(st));
  (void)co_await std::move(both);
}

actor children_within_a_limit(state& st) {
  auto limited = weft::with_timeout(limit, two_wait(st));
  const auto r = co_await as_result(std::move(limited));
  check(!r && was_timed_out(r.error()), "the deadline reaches the children");
}

// The same deadline twice: the one around it stops the one within, or both throw.
task<> inner_limit(state& st, nanoseconds inner) {
  auto limited = weft::with_timeout(inner, wait_for_a_stop(st));
  const auto r = co_await as_result(std::move(limited));
  check(!r, "nobody gives");
  if (was_cancelled(r.error())) throw weft::cancelled();
  check(inner <= limit, "timeout_error is thrown by the scope whose deadline came");
}

actor nested_limits(state& st, nanoseconds inner) {
  auto limited = weft::with_timeout(limit, inner_limit(st, inner));
  const auto r = co_await as_result(std::move(limited));
  check(inner <= limit || (!r && was_timed_out(r.error())), "the outer deadline came");
}

// ---- shields

actor behind_a_shield(state& st) {
  auto shielded = weft::shield(take(st), limit);
  const auto r = co_await as_result(std::move(shielded));
  check(r || st.time_has_come(), "no stop passes a shield");
  check_outcome(st, r, false);
  auto next = check_next_await(st);
  co_await std::move(next);
}

// Children behind it have scopes and strands of their own.
task<semaphore_permit> take_in_a_limit(state& st) {
  auto limited = weft::with_timeout(nanoseconds(100), take(st));
  auto permit = co_await std::move(limited);
  co_return permit;
}

actor scopes_behind_a_shield(state& st) {
  auto shielded = weft::shield(take_in_a_limit(st), limit);
  const auto r = co_await as_result(std::move(shielded));
  check(r || st.time_has_come(), "no stop passes a shield");
  check_outcome(st, r, false);
}

// A limit around a shield: its deadline does not pass, and counts when the shield has ended.
task<semaphore_permit> shielded_take(state& st) {
  auto shielded = weft::shield(take(st), nanoseconds(100));
  auto permit = co_await std::move(shielded);
  co_return permit;
}

actor a_shield_within_a_limit(state& st) {
  auto limited = weft::with_timeout(limit, shielded_take(st));
  const auto r = co_await as_result(std::move(limited));
  check(r.has_value(), "a deadline from outside does not pass a shield");
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

actor stop_alone(actor other) {
  own_promise own;
  (void)co_await own;
  detail::strand& line = *other.promise->line;
  if (line.try_stop_alone()) line.visit(nullptr, *detail::current_worker());
}

// ---- scenarios: who waits on worker 0, and what else happens

enum : unsigned { with_time = 1, with_gift = 2, with_stop = 4, with_outsider = 8 };

std::function<void(scenario&)> meets(actor (*waits)(state&), unsigned what) {
  return [waits, what](scenario& s) {
    const auto st = world::make<state>(s, 2);
    st->spawn(0, waits(*st));
    if ((what & with_gift) != 0) {
      st->permits = 1;
      st->spawn(1, give(*st));
    }
    if ((what & with_stop) != 0) st->spawn(1, stop(*st));
    if ((what & with_outsider) != 0) st->stopper(s);
    if ((what & with_time) != 0) st->time_comes(s, limit.count());
  };
}

void children_meet_the_deadline(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->let_steal();
  st->spawn(0, children_within_a_limit(*st));
  st->time_comes(s, limit.count(), &st->begun);
}

template <int Inner>
void limits_are_nested(scenario& s) {
  const auto st = world::make<state>(s, 1);
  st->spawn(0, nested_limits(*st, nanoseconds(Inner)));
  st->time_comes(s, 50, &st->begun);
}

// The strand alone is stopped, which a handle keeps.
actor shielded_alone(state& st) {
  auto shielded = weft::shield(take(st), limit);
  const auto r = co_await as_result(std::move(shielded));
  check(r.has_value(), "no stop passes a shield");
}

void stopped_alone_behind_a_shield(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->permits = 1;
  const actor waiting = shielded_alone(*st);
  waiting.promise->kept = true;
  st->spawn(0, waiting);
  st->spawn(1, stop_alone(waiting));
  st->spawn(1, give(*st));
}

const std::vector<exploration>& limits() {
  static const std::vector<exploration> all{
      explored("with_timeout/a value meets the deadline",
               meets(within_a_limit, with_gift | with_time), 2),
      explored("with_timeout/an operation meets the deadline",
               meets(operation_within_a_limit, with_gift | with_time), 2),
      explored("with_timeout/a stop meets the deadline",
               meets(until_the_time_comes, with_stop | with_time), 2),
      explored("with_timeout/an outsider stops when the deadline comes",
               meets(until_the_time_comes, with_outsider | with_time), 1),
      explored("with_timeout/all three",
               meets(operation_within_a_limit, with_gift | with_stop | with_time), 2),
      explored("with_timeout/no time comes", meets(within_a_limit, with_gift | with_stop), 2),
      explored("with_timeout/children", children_meet_the_deadline, 2),
      explored("with_timeout/nested, the inner one first", limits_are_nested<5>, 3),
      explored("with_timeout/nested, the outer one first", limits_are_nested<20>, 3),
      explored("shield/a stop meets its end", meets(behind_a_shield, with_gift | with_stop), 2),
      explored("shield/an outsider stops", meets(behind_a_shield, with_gift | with_outsider), 2),
      explored("shield/a stop meets its deadline",
               meets(behind_a_shield, with_gift | with_stop | with_time), 2),
      explored("shield/scopes within", meets(scopes_behind_a_shield, with_gift | with_stop), 2),
      explored("shield/a limit around it", meets(a_shield_within_a_limit, with_gift | with_time),
               2),
      explored("shield/stopped alone", stopped_alone_behind_a_shield, 2),
  };
  return all;
}

TEST_SUITE("runtime/with_timeout explored") {
  TEST_CASE("the first cause counts, no result is lost, and no stop passes a shield") {
    for (const exploration& e : limits()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of a limit that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("with_timeout").empty())) {
    const verdict v = drop_each(limits(), "with_timeout", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 10);
  }
}

}  // namespace

}  // namespace with_timeout_explore_test

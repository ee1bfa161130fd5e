// SPDX-License-Identifier: MIT

// Spawned tasks under every interleaving (within the bounds of the explorer) of their end with
// whoever awaits, cancels or drops the handle, with the end of the group, and with stops: no end is
// missed, the outcome is handed over once or destroyed before the group ends, the frame goes with
// its last owner, and a stop_handle that comes too late does nothing. Each order that is weakened
// and each rule that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/join_handle.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_any.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace task_group_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;
using weft::join_handle;
using weft::task;
using weft::task_group;
using weft::with_task_group;

struct state;

/// A value that says so when it goes. What it points to stays until the world ends.
struct farewell {
  state* st;
  void operator()(plain<int>* v) const noexcept;
};
using value = std::unique_ptr<plain<int>, farewell>;

struct state : world {
  using world::world;

  weft::semaphore never{0}, given{0}, done{0};
  std::vector<std::unique_ptr<plain<int>>> values;
  plain<int> gone;  // of them
  plain<int> guarded;
  std::optional<join_handle<value>> handle;
  std::optional<weft::stop_handle> stopping;
  weft::explore::mutex lock;
  bool published = false;  // changed between the steps of the explorer
};

void farewell::operator()(plain<int>* v) const noexcept {
  st->gone.write(st->gone.read() + 1);
  v->write(0);
}

value make_value(state& st) {
  st.values.push_back(std::make_unique<plain<int>>(42));
  return value(st.values.back().get(), farewell{&st});
}

std::shared_ptr<state> thieves(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->let_steal();
  return st;
}

// ---- children

task<value> produce(state& st) {
  value made = make_value(st);
  co_return made;
}

task<value> produce_when_given(state& st) {
  auto acquire = st.given.acquire();
  auto permit = co_await std::move(acquire);
  permit.release();
  co_return make_value(st);
}

task<> wait_for_a_stop(state& st) {
  auto acquire = st.never.acquire();
  (void)co_await std::move(acquire);
}

task<> enter(state& st) {
  st.guarded.write(st.guarded.read() + 1);
  co_return;
}

task<> fails(int code) {
  throw std::system_error(code, std::generic_category());
  co_return;
}

// ---- what a group is opened for

template <class Body>
task<> in_group(state& st, Body body) {
  auto group = with_task_group([&st, body](task_group& g) -> task<> {
    task<> running = body(st, g);
    co_await std::move(running);
  });
  co_await std::move(group);
}

actor open(state& st, task<> (*body)(state&, task_group&), int values) {
  auto group = in_group(st, body);
  const auto ended = co_await as_result(std::move(group));
  check(ended || st.root().stop_requested(), "a group fails by a stop only");
  st.handle.reset();
  check(st.gone.read() <= values, "a value goes once");
  if (ended) check(st.gone.read() == values, "what nobody took has gone before the group");
}

void check_value(const value& v) {
  check(v != nullptr && v->read() == 42, "the outcome is handed over");
}

task<> await_it(state& st, task_group& g) {
  const auto child = g.spawn(produce, std::ref(st));
  const value got = co_await child;
  check_value(got);
}

task<> drop_it(state& st, task_group& g) {
  (void)g.spawn(produce, std::ref(st));
  co_return;
}

task<> look_and_drop(state& st, task_group& g) {
  const auto child = g.spawn(produce, std::ref(st));
  if (!child.done()) co_return;
  const value got = co_await child;
  check_value(got);
}

task<> keep_it(state& st, task_group& g) {
  st.handle.emplace(g.spawn(produce, std::ref(st)));
  co_return;
}

// Two groups at a time: who spawns in both, and ends children of both.
task<> end_at_once() { co_return; }

task<> spawn_two(task_group& g) {
  (void)g.spawn(end_at_once);
  (void)g.spawn(end_at_once);
  co_return;
}

task<> spawn_within(state& st, task_group& g) {
  task<> outside = spawn_two(g);
  co_await std::move(outside);
  auto inner = in_group(st, [&g](state&, task_group& within) -> task<> {
    (void)within.spawn(spawn_two, std::ref(g));
    co_return;
  });
  co_await std::move(inner);
}

// The handle has outlived the group.
actor open_and_await(state& st) {
  auto group = in_group(st, keep_it);
  co_await std::move(group);
  check(st.handle->done(), "a group does not end before its children");
  const value got = co_await *st.handle;
  check_value(got);
  st.handle.reset();
}

// The cancel of it alone meets its end.
task<> cancel_it(state& st, task_group& g) {
  const auto child = g.spawn(produce_when_given, std::ref(st));
  child.cancel();
  const auto got = co_await as_result(child);
  if (got) check_value(*got);
  check(got || got.error() == std::errc::operation_canceled, "it was cancelled, or has ended");
}

// The same from a thread that is no worker.
task<> have_it_cancelled(state& st, task_group& g) {
  st.lock.lock();
  st.handle.emplace(g.spawn(produce_when_given, std::ref(st)));
  st.published = true;
  st.lock.unlock();
  auto acquire = st.done.acquire();
  (void)co_await std::move(acquire);
  st.handle.reset();
}

void outsider_cancels(scenario& s, state& st) {
  st.outsider(s, [&st] {
    wait_until([&st] { return st.published; });
    st.lock.lock();
    st.lock.unlock();
    st.handle->cancel();
    st.done.release();
  });
}

task<> await_it_when_given(state& st, task_group& g) {
  const auto child = g.spawn(produce_when_given, std::ref(st));
  const value got = co_await child;
  check_value(got);
}

// A strand that has begun after the child awaits it, and is stopped while it ends.
task<> await_it_or(state& st, task_group& g) {
  auto child = g.spawn(produce_when_given, std::ref(st));
  auto any = weft::when_any(std::move(child), enter(st));
  const auto first = co_await std::move(any);
  if (first.index() == 0) check_value(std::get<0>(first));
}

task<> one_fails(state& st, task_group& g) {
  (void)g.spawn(wait_for_a_stop, std::ref(st));
  (void)g.spawn(fails, 5);
  co_return;
}

task<> two_fail(state&, task_group& g) {
  (void)g.spawn(fails, 5);
  (void)g.spawn(fails, 5);
  co_return;
}

actor open_and_fail(state& st, task<> (*body)(state&, task_group&), std::size_t others) {
  weft::group_failures failures;
  auto group = with_task_group({.failures = &failures}, [&st, body](task_group& g) -> task<> {
    task<> running = body(st, g);
    co_await std::move(running);
  });
  const auto ended = co_await as_result(std::move(group));
  check(!ended && ended.error().value() == 5, "the failure of a child is rethrown");
  check(failures.count() == others, "the others are counted");
}

actor open_one_at_a_time(state& st) {
  auto group = with_task_group({.max_concurrency = 1}, [&st](task_group& g) -> task<> {
    (void)g.spawn(enter, std::ref(st));
    (void)g.spawn(enter, std::ref(st));
    co_return;
  });
  co_await std::move(group);
  check(st.guarded.read() == 2, "who was kept has its turn");
}

// A stop_handle reaches the group, or comes too late.
task<> publish_stop(state& st, task_group& g) {
  st.lock.lock();
  st.stopping.emplace(g.stop_handle());
  st.published = true;
  st.lock.unlock();
  co_return;
}

task<> publish_stop_and_wait(state& st, task_group& g) {
  (void)g.spawn(wait_for_a_stop, std::ref(st));
  task<> published = publish_stop(st, g);
  co_await std::move(published);
}

void outsider_stops_the_group(scenario& s, state& st) {
  st.outsider(s, [&st] {
    wait_until([&st] { return st.published; });
    st.lock.lock();
    st.lock.unlock();
    st.stopping->cancel();
  });
}

actor give(state& st) {
  own_promise own;
  (void)co_await own;
  st.given.release();
}

actor stop(state& st) {
  own_promise own;
  (void)co_await own;
  st.root().request_stop();
}

// ---- scenarios

using body = task<> (*)(state&, task_group&);

template <body Body, int Values>
void opened(scenario& s) {
  const auto st = thieves(s);
  st->spawn(0, open(*st, Body, Values));
}

template <body Body, int Values>
void opened_and_given(scenario& s) {
  const auto st = thieves(s);
  st->spawn(0, open(*st, Body, Values));
  st->spawn(1, give(*st));
}

void the_handle_outlives_the_group(scenario& s) {
  const auto st = thieves(s);
  st->spawn(0, open_and_await(*st));
}

// The value is there or not: nobody has to get one.
template <body Body>
void cancelled(scenario& s) {
  const auto st = world::make<state>(s, 2);
  struct any_value {
    static actor open(state& st) {
      auto group = in_group(st, Body);
      co_await std::move(group);
      check(st.gone.read() <= 1, "a value goes once");
    }
  };
  st->spawn(0, any_value::open(*st));
  st->spawn(1, give(*st));
  if (Body == have_it_cancelled) outsider_cancels(s, *st);
}

void a_stop_meets_the_end(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open(*st, await_it_when_given, 1));
  st->spawn(1, give(*st));
  st->spawn(1, stop(*st));
}

template <body Body, std::size_t Others>
void failed(scenario& s) {
  const auto st = thieves(s);
  st->spawn(0, open_and_fail(*st, Body, Others));
}

void one_at_a_time(scenario& s) {
  const auto st = thieves(s);
  st->spawn(0, open_one_at_a_time(*st));
}

template <body Body>
void stopped_by_a_handle(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, open(*st, Body, 0));
  outsider_stops_the_group(s, *st);
}

const std::vector<exploration>& groups() {
  static const std::vector<exploration> all{
      explored("task_group/await", opened<await_it, 1>, 3),
      explored("task_group/drop", opened<drop_it, 1>, 3),
      explored("task_group/look and drop", opened<look_and_drop, 1>, 3),
      explored("task_group/the handle outlives the group", the_handle_outlives_the_group, 3),
      explored("task_group/await when given", opened_and_given<await_it_when_given, 1>, 2),
      explored("task_group/await it or another", opened_and_given<await_it_or, 1>, 2),
      explored("task_group/cancel", cancelled<cancel_it>, 2),
      explored("task_group/an outsider cancels", cancelled<have_it_cancelled>, 1),
      explored("task_group/two groups", opened<spawn_within, 0>, 2),
      explored("task_group/a stop meets the end", a_stop_meets_the_end, 2),
      explored("task_group/one fails", failed<one_fails, 0>, 2),
      explored("task_group/two fail", failed<two_fail, 1>, 2),
      explored("task_group/one at a time", one_at_a_time, 2),
      explored("task_group/a stop handle", stopped_by_a_handle<publish_stop_and_wait>, 2),
      explored("task_group/a late stop handle", stopped_by_a_handle<publish_stop>, 2),
  };
  return all;
}

TEST_SUITE("runtime/task_group explored") {
  TEST_CASE("no end of a child is missed, its outcome and its frame go once") {
    for (const exploration& e : groups()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of a child and its group that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("task_group").empty())) {
    const verdict v = drop_each(groups(), "task_group", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 17);
  }

  TEST_CASE("each memory order of a child that is weakened is noticed" *
            doctest::skip(sanitized())) {
    const verdict v =
        weaken_each(groups(), {"/child.hpp", "/group_state.hpp", "/group_state.cpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 9);
  }
}

}  // namespace

}  // namespace task_group_explore_test

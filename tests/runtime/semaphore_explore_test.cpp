// SPDX-License-Identifier: MIT

// The queue of a semaphore under every interleaving (within the bounds of the explorer) of tasks
// that acquire and release, threads that release, and cancels: no more tasks hold a permit than
// there are permits, each sees what its predecessor wrote, nobody waits while a permit is free, a
// grant that meets a cancel is not lost, and who came first is served first. Each rule that is
// dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/semaphore.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace semaphore_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;
using weft::semaphore;

struct state : world {
  using world::world;
  ~state() override { check(permits.available() == 1, "the permit has come back"); }

  semaphore permits{1};
  plain<int> guarded;  // by a single permit
  plain<int> order;    // of the grants
};

// Who holds the only permit is alone.
actor enter(state& st) {
  auto acquire = st.permits.acquire();
  auto permit = co_await as_result(std::move(acquire));
  if (!permit) {
    check(st.root().stop_requested(), "an acquire is refused under a stop only");
    co_return;
  }
  st.guarded.write(st.guarded.read() + 1);
}

// The same for one who may be cancelled alone.
actor enter_unless_cancelled(state& st) {
  auto acquire = st.permits.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  if (permit) st.guarded.write(st.guarded.read() + 1);
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

// It is cancelled at some moment, alone.
void spawn_and_cancel(world& st, actor a) {
  a.promise->kept = true;
  st.spawn(0, a);
  st.spawn(1, stop_alone(a));
}

void two_enter(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, enter(*st));
  st->spawn(1, enter(*st));
}

void three_enter(scenario& s) {
  const auto st = world::make<state>(s, 3);
  for (unsigned i = 0; i != 3; ++i) st->spawn(i, enter(*st));
}

// The permit is out; it comes back while one waiter is cancelled alone: the other one gets it.
void a_cancel_meets_a_grant(scenario& s) {
  const auto st = world::make<state>(s, 2);
  check(st->permits.take_one(), "there is a permit");
  spawn_and_cancel(*st, enter_unless_cancelled(*st));
  st->spawn(0, enter(*st));
  st->outsider(s, [st = st.get()] { st->permits.release(); });
}

// The same with the stop of all: what was granted comes back through its guard.
void a_stop_meets_a_grant(scenario& s) {
  const auto st = world::make<state>(s, 2);
  check(st->permits.take_one(), "there is a permit");
  st->spawn(0, enter(*st));
  st->spawn(0, enter(*st));
  st->spawn(1, stop(*st));
  st->outsider(s, [st = st.get()] { st->permits.release(); });
}

// The first waiter is cancelled while the permit is on its way to it: then it is for all.
void a_grant_finds_nobody(scenario& s) {
  const auto st = world::make<state>(s, 2);
  check(st->permits.take_one(), "there is a permit");
  spawn_and_cancel(*st, enter_unless_cancelled(*st));
  st->spawn(1, enter(*st));
  st->outsider(s, [st = st.get()] { st->permits.release(); });
  st->outsider(s, [st = st.get()] {
    if (const auto permit = st->permits.try_acquire()) st->guarded.write(st->guarded.read() + 1);
  });
}

struct two_permits : world {
  using world::world;
  ~two_permits() override {
    const auto held = std::ranges::count_if(kept, [](const auto& one) { return one.has_value(); });
    check(permits.available() + static_cast<std::size_t>(held) == 2, "none is lost or doubled");
  }

  semaphore permits{0};  // they are out
  std::array<std::optional<weft::semaphore_permit>, 2> kept;
};

actor pass_through(two_permits& st) {
  auto acquire = st.permits.acquire();
  (void)co_await as_result(std::move(acquire));
}

// The second permit comes while the first one is given to the only one who waits.
void two_grants(scenario& s) {
  const auto st = world::make<two_permits>(s, 2);
  st->spawn(0, pass_through(*st));
  for (int i = 0; i != 2; ++i) st->outsider(s, [st = st.get()] { st->permits.release(); });
}

actor keep(two_permits& st, std::size_t place) {
  auto acquire = st.permits.acquire();
  auto permit = co_await as_result(std::move(acquire));
  check(permit.has_value(), "nothing is stopped");
  st.kept[place].emplace(*std::move(permit));
}

// A release that has returned does not wait for one that is still under way.
void a_third_is_free(scenario& s) {
  const auto st = world::make<two_permits>(s, 1);
  st->spawn(0, keep(*st, 0));
  st->outsider(s, [st = st.get()] { st->permits.release(); });
  st->outsider(s, [st = st.get()] {
    st->permits.release();
    st->permits.release();
    check(st->permits.take_one(), "two have been given and one waits: one is free");
  });
}

// Both come when the only one who waits for them is cancelled: they are for those who come next.
void two_grants_find_nobody(scenario& s) {
  const auto st = world::make<two_permits>(s, 2);
  spawn_and_cancel(*st, pass_through(*st));
  for (std::size_t place = 0; place != 2; ++place) st->spawn(1, keep(*st, place));
  for (int i = 0; i != 2; ++i) st->outsider(s, [st = st.get()] { st->permits.release(); });
}

struct short_lived : world {
  using world::world;
  std::optional<semaphore> permits{std::in_place, 0};  // two are out
};

// Who has had all permits may destroy the semaphore.
actor take_all_and_destroy(short_lived& st) {
  {
    auto first = st.permits->acquire();
    const auto one = co_await as_result(std::move(first));
    auto second = st.permits->acquire();
    const auto two = co_await as_result(std::move(second));
    check(one && two, "nothing is stopped");
  }
  st.permits.reset();
}

actor take_one(short_lived& st) {
  auto acquire = st.permits->acquire();
  (void)co_await as_result(std::move(acquire));
}

void one_destroys(scenario& s) {
  const auto st = world::make<short_lived>(s, 2);
  spawn_and_cancel(*st, take_one(*st));
  st->spawn(0, take_all_and_destroy(*st));
  for (int i = 0; i != 2; ++i) st->outsider(s, [st = st.get()] { st->permits->release(); });
}

// One who is first in the queue when the second comes is served first.
actor take_in_order(state& st, int place) {
  auto acquire = st.permits.acquire();
  auto permit = co_await as_result(std::move(acquire));
  check(permit && st.order.read() == place, "first come, first served");
  st.order.write(place + 1);
}

actor give(state& st) {
  own_promise own;
  (void)co_await own;
  st.permits.release();
}

void in_order(scenario& s) {
  const auto st = world::make<state>(s, 2);
  check(st->permits.take_one(), "there is a permit");
  for (int place = 0; place != 3; ++place) st->spawn(0, take_in_order(*st, place));
  st->spawn(1, give(*st));
}

// Tries from a thread that is no worker: it never waits, and never takes what is another's.
void an_outsider_tries(scenario& s) {
  const auto st = world::make<state>(s, 2);
  st->spawn(0, enter(*st));
  st->spawn(1, enter(*st));
  st->outsider(s, [st = st.get()] {
    if (const auto permit = st->permits.try_acquire()) st->guarded.write(st->guarded.read() + 1);
  });
}

exploration explored(const char* name, void (*set_up)(scenario&), unsigned preemptions) {
  return {{.name = name, .preemptions = preemptions, .stale_reads = 1, .random_executions = 2'000},
          set_up};
}

const std::vector<exploration>& queues() {
  static const std::vector<exploration> all{
      explored("semaphore/two enter", two_enter, 4),
      explored("semaphore/three enter", three_enter, 2),
      explored("semaphore/a cancel meets a grant", a_cancel_meets_a_grant, 2),
      explored("semaphore/a grant finds nobody", a_grant_finds_nobody, 1),
      explored("semaphore/two grants", two_grants, 2),
      explored("semaphore/two grants find nobody", two_grants_find_nobody, 1),
      explored("semaphore/a third is free", a_third_is_free, 2),
      explored("semaphore/one destroys", one_destroys, 1),
      explored("semaphore/a stop meets a grant", a_stop_meets_a_grant, 2),
      explored("semaphore/in order", in_order, 2),
      explored("semaphore/an outsider tries", an_outsider_tries, 2),
  };
  return all;
}

TEST_SUITE("runtime/semaphore explored") {
  TEST_CASE("permits are neither lost nor doubled, and are given in the order of asking") {
    for (const exploration& e : queues()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of the queue that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("semaphore").empty())) {
    const verdict v = drop_each(queues(), "semaphore", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 13);
    const verdict w = drop_each(queues(), "waiters", {});
    CHECK_MESSAGE(w.wrong.empty(), w.text());
    CHECK(w.noticed == 3);
  }

  TEST_CASE("each memory order of the word and of the lock that is weakened is noticed" *
            doctest::skip(sanitized())) {
    const verdict v = weaken_each(
        queues(), {"/semaphore.hpp", "/semaphore.cpp", "/spin_lock.hpp", "/spin_lock.cpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 4);
  }
}

}  // namespace

}  // namespace semaphore_explore_test

// SPDX-License-Identifier: MIT

// The queue of woken tasks under every interleaving of its owner and two thieves (within the bounds
// of the explorer): each task comes out once, with what its waker wrote; and a push against a
// worker that falls asleep: one of them sees the other. Each order that is weakened and each rule
// that is dropped is noticed.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "weft/runtime/detail/idle_workers.hpp"
#include "weft/runtime/ready_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace weft::explore;
namespace detail = weft::detail;

struct woken : detail::suspended {
  plain<int> payload;
  plain<bool> taken;
};

using queue = detail::basic_ready_queue<weft::explore::atomics, mutex>;

void take(detail::suspended* s) {
  if (s == nullptr) return;
  auto& w = static_cast<woken&>(*s);
  check(w.payload.read() != 0, "what the waker wrote has been handed over");
  check(!w.taken.read(), "a task is taken once");
  w.taken.write(true);
}

struct state {
  void push(queue& to) {
    woken& next = tasks[static_cast<std::size_t>(pushed++)];
    next.payload.write(pushed);
    to.push(next);
  }
  std::array<woken, 8> tasks;
  std::array<queue, 3> of;  // the owner's, and one of each thief
  int pushed = 0;
};

struct script {
  const char* name;
  std::string_view owner;            // '+' push, '-' take
  std::array<unsigned, 2> attempts;  // of each thief: steals, then empties its own queue
  unsigned preemptions = 2;
};

constexpr script scripts[] = {
    {"ready/one task", "+-", {1, 1}, 3},
    {"ready/two tasks", "++--", {1, 1}},
    {"ready/three at once", "+++-", {1, 1}},
    {"ready/again and again", "+-+-", {2, 0}, 3},
};

void rob(state& st, unsigned thief) {
  take(st.of[thief].steal_from(st.of[0]));
  while (detail::suspended* const s = st.of[thief].take()) take(s);
}

auto scenario_of(const script& sc) {
  return [&sc](scenario& s) {
    const auto st = std::make_shared<state>();
    s.thread([st, &sc] {
      for (const char step : sc.owner) {
        if (step == '+')
          st->push(st->of[0]);
        else
          take(st->of[0].take());
      }
    });
    for (unsigned thief = 1; thief <= sc.attempts.size(); ++thief) {
      s.thread([st, thief, n = sc.attempts[thief - 1]] {
        for (unsigned i = 0; i != n; ++i) rob(*st, thief);
      });
    }
    s.at_end([st] {
      while (detail::suspended* const left = st->of[0].take()) take(left);
      for (const queue& q : st->of) check(q.empty(), "what was taken to the end is empty");
      for (int i = 0; i != st->pushed; ++i) {
        check(st->tasks[static_cast<std::size_t>(i)].taken.read(), "no task is lost");
      }
    });
  };
}

// A thief moves half of a queue to its own; a third worker then robs the thief.
void rob_the_thief(scenario& s) {
  const auto st = std::make_shared<state>();
  for (int i = 0; i != 4; ++i) st->push(st->of[0]);
  s.thread([st] { take(st->of[1].steal_from(st->of[0])); });
  s.thread([st] { take(st->of[2].steal_from(st->of[1])); });
  s.at_end([st] {
    for (queue& q : st->of) {
      while (detail::suspended* const left = q.take()) take(left);
    }
    for (int i = 0; i != 4; ++i) {
      check(st->tasks[static_cast<std::size_t>(i)].taken.read(), "no task is lost");
    }
  });
}

struct rules {
  bool re_check = true;    // who has announced its sleep looks at the queue again
  bool asks_after = true;  // who pushes asks for sleepers after the push, not before
  bool announces = true;   // who looks for the last time has announced its sleep before
};

// Q1, against the real idle word: a worker wakes a task while the other one goes to sleep.
void push_against_sleep(scenario& s, rules r) {
  struct both : state {
    detail::idle_workers<weft::explore::atomics, mutex> idle{2};
    bool wakes = false, found = false;
  };
  const auto st = std::make_shared<both>();
  s.thread([st, r] {
    if (!r.asks_after) st->wakes = st->idle.should_wake();
    st->push(st->of[0]);
    if (r.asks_after) st->wakes = st->idle.should_wake();
  });
  s.thread([st, r] {
    if (!r.announces) st->found = !st->of[0].empty();
    const bool look = st->idle.go_to_sleep(1, false);
    if (look && r.announces && r.re_check) st->found = !st->of[0].empty();
  });
  s.at_end([st] { check(st->wakes || st->found, "the task or the sleeper is seen"); });
}

const options against_sleep{.name = "ready/push against sleep", .preemptions = 4, .stale_reads = 4};

std::vector<exploration> takes() {
  std::vector<exploration> all;
  for (const script& sc : scripts) {
    all.push_back({{.name = sc.name, .preemptions = sc.preemptions, .random_executions = 3'000},
                   scenario_of(sc)});
  }
  all.push_back({{.name = "ready/rob the thief", .preemptions = 3, .random_executions = 3'000},
                 rob_the_thief});
  return all;
}

TEST_SUITE("sched/ready_queue explored") {
  TEST_CASE("every woken task is taken once and handed over whole") {
    for (const exploration& e : takes()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("a woken task is seen by a worker about to sleep, or its waker sees the sleeper") {
    const result r = run(against_sleep, [](scenario& s) { push_against_sleep(s, {}); });
    CHECK_MESSAGE(!r.failed, r.report);
    CHECK((r.complete || sanitized()));
  }

  TEST_CASE("each rule of falling asleep that is dropped is noticed") {
    const std::pair<const char*, rules> mutants[] = {
        {"no re-check", {.re_check = false}},
        {"asks for sleepers before the push", {.asks_after = false}},
        {"looks before the announcement", {.announces = false}},
    };
    for (const auto& [what, broken] : mutants) {
      const rules b = broken;
      const result r = run(against_sleep, [b](scenario& s) { push_against_sleep(s, b); });
      CHECK_MESSAGE(r.failed, std::string(what));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed" * doctest::skip(sanitized())) {
    std::vector<exploration> explorations = takes();
    explorations.push_back({against_sleep, [](scenario& s) { push_against_sleep(s, {}); }});
    const verdict v = weaken_each(explorations, {"/ready_queue.hpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 4);
  }
}

}  // namespace

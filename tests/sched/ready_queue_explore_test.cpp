// SPDX-License-Identifier: MIT

// The queue of woken tasks under every interleaving of its owner and two thieves (within the bounds
// of the explorer): each task comes out once, with what its waker wrote, also where its ring is
// full; and what is ready behind a body against a worker that falls asleep: one of them sees the
// other. Each order that is weakened and each rule that is dropped is noticed.

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

namespace ready_queue_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;

struct woken : detail::suspended {
  plain<int> payload;
  plain<bool> taken;
};

using queue = detail::basic_ready_queue<weft::explore::atomics, mutex, 2>;

void take(detail::suspended* s) {
  if (s == nullptr) return;
  auto& w = static_cast<woken&>(*s);
  check(w.payload.read() != 0, "what the waker wrote has been handed over");
  check(!w.taken.read(), "a task is taken once");
  w.taken.write(true);
}

struct state {
  woken& next() {
    woken& task = tasks[static_cast<std::size_t>(pushed++)];
    task.payload.write(pushed);
    return task;
  }
  void push(queue& to) { to.push(next()); }
  std::array<woken, 8> tasks;
  std::array<queue, 3> of;  // the owner's, and one of each thief
  int pushed = 0;
};

// What an owner does: '+' push, 'c' collect, '~' give way, '-' take. '*': a third worker takes one.
void act(state& st, char step) {
  queue& own = st.of[0];
  switch (step) {
  case '+':
    return own.push(st.next());
  case 'c':
    return own.collect(st.next());
  case '~':
    return own.give_way(st.next());
  case '*':
    return take(st.of[2].steal_from(own));
  default:
    return take(own.take());
  }
}

struct script {
  const char* name;
  std::string_view owner;            // see act()
  std::array<unsigned, 2> attempts;  // of each thief: steals, then empties its own queue
  unsigned preemptions = 2;
};

constexpr script scripts[] = {
    {"ready/one task", "+-", {1, 1}, 3},
    {"ready/two tasks", "++--", {1, 1}},
    {"ready/more than the ring holds", "+++-", {1, 1}},
    {"ready/many more", "+++++---", {2, 0}},
    {"ready/again and again", "+-+-", {2, 0}, 3},
    {"ready/the ring comes round", "++-+-+", {1, 1}},
    {"ready/collected", "c-cc--", {1, 1}},
    {"ready/gives way alone", "~-~-", {1, 1}},
    {"ready/gives way behind others", "+~-~-", {1, 1}},
    {"ready/gives way behind many", "+++~-~---", {1, 0}},
};

// The second thief leaves what goes while it looks.
void rob(state& st, unsigned thief) {
  int gone = 0;
  take(thief == 1 ? st.of[thief].steal_from(st.of[0])
                  : st.of[thief].steal_what_stays(st.of[0], [] {}, gone));
  while (detail::suspended* const s = st.of[thief].take()) take(s);
}

auto scenario_of(const script& sc) {
  return [&sc](scenario& s) {
    const auto st = std::make_shared<state>();
    s.thread([st, &sc] {
      for (const char step : sc.owner) act(*st, step);
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
void rob_the_thief(scenario& s, std::string_view before) {
  const auto st = std::make_shared<state>();
  for (const char step : before) act(*st, step);
  s.thread([st] { take(st->of[1].steal_from(st->of[0])); });
  s.thread([st] { take(st->of[2].steal_from(st->of[1])); });
  s.at_end([st] {
    for (queue& q : st->of) {
      while (detail::suspended* const left = q.take()) take(left);
    }
    for (int i = 0; i != st->pushed; ++i) {
      check(st->tasks[static_cast<std::size_t>(i)].taken.read(), "no task is lost");
    }
  });
}

struct rules {
  bool re_check = true;     // who has announced its sleep looks at the queue again
  bool announces = true;    // who looks for the last time has announced its sleep before
  bool asks_after = true;   // who pushes asks for sleepers after the push, not before
  bool asks_untold = true;  // before a body that take() gave
  bool shares = true;       // before another body
};

// How what is left behind a long body came there.
struct way {
  const char* name;
  std::string_view before;  // see act()
  char last;                // '+': pushed by the body itself; '-': the body is what take() gives;
                            // ' ': the body is another one
};

constexpr way ways[] = {
    {"ready/pushed", "", '+'},
    {"ready/pushed where the ring is full", "++", '+'},
    {"ready/pushed behind others, the ring is robbed", "+++**", '+'},
    {"ready/pushed before, and the ring is filled again", "++++--", '-'},
    {"ready/two collected", "cc", '-'},
    {"ready/four collected", "cccc", '-'},
    {"ready/gave way behind another", "+~", '-'},
    {"ready/gave way behind many", "+++~", '-'},
    {"ready/collected, another body", "c", ' '},
    {"ready/gave way, another body", "~", ' '},
    {"ready/gave way behind many, another body", "++~", ' '},
};

// Q1 and Q2, against the real idle word: a worker begins a long body, or wakes a task within it,
// while the other one goes to sleep.
void ready_against_sleep(scenario& s, const way& w, rules r) {
  struct both : state {
    detail::idle_workers<weft::explore::atomics, mutex> idle{2};
    bool wakes = false, found = false;
  };
  const auto st = std::make_shared<both>();
  s.thread([st, &w, r] {
    queue& own = st->of[0];
    for (const char step : w.before) {
      act(*st, step);
      if (step == '+') st->wakes |= st->idle.should_wake();
    }
    bool tell = true;
    if (w.last == '+') {
      if (!r.asks_after) st->wakes |= st->idle.should_wake();
      st->push(own);
      tell = r.asks_after;
    } else if (w.last == '-') {
      take(own.take());
      tell = own.untold() && r.asks_untold;
    } else {
      tell = r.shares && own.share();
    }
    if (tell) st->wakes |= st->idle.should_wake();
  });
  s.thread([st, r] {
    if (!r.announces) st->found = !st->of[0].empty();
    const bool look = st->idle.go_to_sleep(1, false);
    if (look && r.announces && r.re_check) st->found = !st->of[0].empty();
  });
  s.at_end([st] { check(st->wakes || st->found, "the task or the sleeper is seen"); });
}

constexpr std::string_view later_only =
    "Q4 keeps a slot from being written before a thief has read it: that a later store is done "
    "early, the explorer does not model";
constexpr excuse excuses[] = {
    {"has_room load acquire #0", later_only},
    {"steal_from load acquire #0", later_only},
    {"steal_from rmw release #0", later_only},
};

std::vector<exploration> against_sleep(rules r = {}) {
  std::vector<exploration> all;
  for (const way& w : ways) {
    all.push_back({{.name = w.name, .preemptions = 4, .stale_reads = 4},
                   [&w, r](scenario& s) { ready_against_sleep(s, w, r); }});
  }
  return all;
}

std::vector<exploration> takes() {
  std::vector<exploration> all;
  for (const script& sc : scripts) {
    all.push_back({{.name = sc.name, .preemptions = sc.preemptions, .random_executions = 3'000},
                   scenario_of(sc)});
  }
  all.push_back({{.name = "ready/rob the thief", .preemptions = 3, .random_executions = 3'000},
                 [](scenario& s) { rob_the_thief(s, "+++"); }});
  all.push_back({{.name = "ready/rob who took many", .preemptions = 3, .random_executions = 3'000},
                 [](scenario& s) { rob_the_thief(s, "++++++--"); }});
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

  TEST_CASE("what is ready behind a body is seen by a worker about to sleep, or the sleeper is") {
    for (const exploration& e : against_sleep()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("a task that gives way alone is left to its owner, which tells nobody") {
    const options how{.name = "ready/alone", .preemptions = 4, .stale_reads = 4};
    const result r = run(how, [](scenario& s) {
      const auto st = std::make_shared<state>();
      s.thread([st] {
        queue& own = st->of[0];
        act(*st, '~');
        check(own.has_any(), "it is ready");
        detail::suspended* const same = own.take();
        check(same == &st->tasks[0], "the owner goes on with it");
        check(!own.untold() && !own.share() && !own.has_any(), "there is nothing else");
      });
      s.thread([st] { check(st->of[1].steal_from(st->of[0]) == nullptr, "a thief finds none"); });
    });
    CHECK_MESSAGE(!r.failed, r.report);
    CHECK((r.complete || sanitized()));
  }

  TEST_CASE("each rule of telling and of falling asleep that is dropped is noticed") {
    const std::pair<const char*, rules> mutants[] = {
        {"no re-check", {.re_check = false}},
        {"looks before the announcement", {.announces = false}},
        {"asks for sleepers before the push", {.asks_after = false}},
        {"does not ask for what take() left", {.asks_untold = false}},
        {"does not share before another body", {.shares = false}},
    };
    for (const auto& [what, broken] : mutants) {
      bool noticed = false;
      for (const exploration& e : against_sleep(broken))
        noticed = noticed || run(e.how, e.set_up).failed;
      CHECK_MESSAGE(noticed, std::string(what));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed" * doctest::skip(sanitized())) {
    std::vector<exploration> explorations = takes();
    for (exploration& e : against_sleep()) explorations.push_back(std::move(e));
    const verdict v = weaken_each(explorations, {"/ready_queue.hpp"}, excuses);
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 4);
  }
}

}  // namespace

}  // namespace ready_queue_explore_test

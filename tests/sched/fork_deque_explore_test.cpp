// SPDX-License-Identifier: MIT

// The fork deque under every interleaving of one owner and two thieves (within the bounds of the
// explorer): nothing is lost, nothing is taken twice, what an item points to is handed over. And
// the proof that this would be noticed: with any of its memory orders weakened, it is.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "weft/runtime/detail/fork_deque.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fork_deque_explore_test {

namespace {

using namespace weft::explore;

struct item {
  plain<int> payload;
  plain<bool> taken;
};

using deque = weft::detail::fork_deque<item, weft::explore::atomics>;
using weft::detail::fork_push;
using weft::detail::forks_taken_by;

struct script {
  const char* name;
  std::string_view owner;                   // see step()
  std::array<std::string_view, 2> thieves;  // 's' steal, 'f' by force
  std::int64_t first = 0;
  unsigned preemptions = 2;
};

// A capacity of two: the third item that is there at once makes the array grow, and the third push
// in all uses a slot again.
constexpr script scripts[] = {
    {"deque/last item", "+-", {"s", "s"}, 0, 3},
    {"deque/last item by force", "+-", {"f", "s"}, 0, 3},
    {"deque/two items", "++--", {"s", "f"}},
    {"deque/two by force", "++--", {"f", "f"}},
    {"deque/three takers", "++-", {"s", "f"}, 0, 3},
    {"deque/private items", "+++--", {"f", "s"}},
    {"deque/again and again", "+-+-", {"s", "s"}},
    {"deque/again by force", "++-+-", {"f", "f"}},
    {"deque/slot used again", "++-+-", {"ss", "s"}},
    {"deque/growth", "+++-", {"ss", "f"}},
    {"deque/growth while stealing", "++-+++", {"s", "f"}},
    {"deque/quietly, last item", "qo", {"f", "s"}, 0, 3},
    {"deque/quietly, two items", "qqoo", {"s", "f"}},
    {"deque/quietly, two by force", "qqoo", {"f", "f"}},
    {"deque/quietly, private items", "qqqoo", {"f", "s"}},
    {"deque/quietly, again", "qqoqo", {"s", "f"}},
    {"deque/quietly, growth", "qqqo", {"ss", "f"}},
    {"deque/indices wrap", "+++--", {"s", "f"}, std::numeric_limits<std::int64_t>::max() - 1},
};

void take(item* i) {
  if (i == nullptr) return;
  check(i->payload.read() != 0, "what the item points to has been handed over");
  check(!i->taken.read(), "an item is taken once");
  i->taken.write(true);
}

struct state {
  explicit state(std::int64_t first) : queue(forks_taken_by::thieves, 2, first) {}
  std::array<item, 8> items;
  deque queue;
  int pushed = 0;
  std::vector<item*> own;  // what the owner has pushed, and not come to again
};

// What the owner does: '+' push, '-' pop; 'q' and 'o' the same as fork-join does it, without a call
// where it can be done so.
template <class Offered>
void step(state& st, char what, Offered offered) {
  if (what == '+' || what == 'q') {
    item& next = st.items[static_cast<std::size_t>(st.pushed++)];
    next.payload.write(st.pushed);
    st.own.push_back(&next);
    fork_push done = fork_push::no_room;
    if (what == 'q') done = st.queue.push_quietly(&next);
    if (done == fork_push::no_room) check(st.queue.push(&next, offered), "there is memory");
    if (done == fork_push::unshared && st.queue.share_oldest()) offered();
  } else if (what == '-') {
    take(st.queue.pop(nullptr, offered));
  } else {
    item* const newest = st.own.back();
    st.own.pop_back();
    take(st.queue.pop_quietly(newest) ? newest : st.queue.pop(newest, offered));
  }
}

auto scenario_of(const script& sc) {
  return [&sc](scenario& s) {
    const auto st = std::make_shared<state>(sc.first);
    s.thread([st, &sc] {
      for (const char what : sc.owner) step(*st, what, [] {});
    });
    for (const std::string_view steals : sc.thieves) {
      s.thread([st, steals] {
        for (const char how : steals)
          take(how == 's' ? st->queue.steal() : st->queue.steal_by_force(heavy_fence));
      });
    }
    s.at_end([st] {
      while (item* left = st->queue.pop()) take(left);
      check(!st->queue.hides(), "what was popped to the end is empty");
      for (int i = 0; i != st->pushed; ++i) {
        check(st->items[static_cast<std::size_t>(i)].taken.read(), "no item is lost");
      }
    });
  };
}

// R5: an owner pushes and looks for sleepers, a thief announces its sleep and looks for work. In
// the pool the announcement is idle_workers' word.
void push_against_sleep(scenario& s, bool by_steal) {
  struct both : state {
    both() : state(0) {}
    weft::explore::atomic<bool> asleep{false};
    bool woken = false, found = false;
  };
  const auto st = std::make_shared<both>();
  s.thread([st] {
    st->items[0].payload.write(1);
    const auto look = [&] { st->woken = st->asleep.load(std::memory_order_seq_cst); };
    check(st->queue.push(&st->items[0], look), "there is memory");
  });
  s.thread([st, by_steal] {
    st->asleep.exchange(true, std::memory_order_seq_cst);
    st->found = by_steal ? st->queue.steal() != nullptr : st->queue.offers();
  });
  s.at_end([st] { check(st->woken || st->found, "the work or the sleeper is seen"); });
}

struct rules {
  bool fence = true;      // who sleeps after a theft makes all pass a fence
  bool announces = true;  // before it has announced its sleep
};

// R7: the owner pushes or pops, and computes for long; a thief has taken what was shared, runs that
// and falls asleep. What the owner then has is shared, and it has seen the sleeper, or the sleeper
// has seen it.
void theft_against_sleep(scenario& s, std::string_view owner, rules r) {
  struct both : state {
    both() : state(0) {}
    weft::explore::atomic<bool> asleep{false};
    bool woken = false, found = false, stolen = false;
  };
  const auto st = std::make_shared<both>();
  s.thread([st, owner] {
    for (const char what : owner)
      step(*st, what, [&] { st->woken = st->asleep.load(std::memory_order_seq_cst); });
  });
  s.thread([st, r] {
    item* const stolen = st->queue.steal();
    st->stolen = stolen != nullptr;
    take(stolen);
    if (!r.announces) st->found = st->queue.hides();
    st->asleep.exchange(true, std::memory_order_seq_cst);
    if (r.fence) heavy_fence();
    if (r.announces) st->found = st->queue.hides();
  });
  s.at_end([st] {
    check(!st->stolen || st->woken || st->found || !st->queue.hides(),
          "what is left after a theft is seen by the thief, or the sleeper by its owner");
  });
}

using set_up = std::function<void(scenario&)>;
std::vector<std::pair<const char*, set_up>> all_scenarios() {
  std::vector<std::pair<const char*, set_up>> all;
  all.emplace_back("deque/push against sleep, offers",
                   [](auto& s) { push_against_sleep(s, false); });
  all.emplace_back("deque/push against sleep, steal", [](auto& s) { push_against_sleep(s, true); });
  all.emplace_back("deque/push against sleep after a theft",
                   [](auto& s) { theft_against_sleep(s, "++", {}); });
  all.emplace_back("deque/push against sleep, pop after a theft",
                   [](auto& s) { theft_against_sleep(s, "+++-", {}); });
  all.emplace_back("deque/push against sleep, quietly after a theft",
                   [](auto& s) { theft_against_sleep(s, "qq", {}); });
  all.emplace_back("deque/push against sleep, quiet pop after a theft",
                   [](auto& s) { theft_against_sleep(s, "qqqo", {}); });
  for (const script& sc : scripts) all.emplace_back(sc.name, scenario_of(sc));
  return all;
}

constexpr std::string_view future =
    "keeps a load from seeing what is stored after a later access, which the explorer never shows";
constexpr excuse excuses[] = {
    {"make_room load acquire #0", future},
    {"take_at rmw release #0", future},
};

TEST_SUITE("sched/fork_deque explored") {
  TEST_CASE("every item is taken once and handed over whole") {
    for (const script& sc : scripts) {
      const result r =
          run({.name = sc.name, .preemptions = sc.preemptions, .random_executions = 3'000},
              scenario_of(sc));
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("a push is seen by a thief about to sleep or sees it") {
    for (const auto& [name, scenario] : all_scenarios()) {
      if (std::string_view(name).starts_with("deque/push against")) {
        const result r = run({.name = name, .preemptions = 4, .stale_reads = 4}, scenario);
        CHECK_MESSAGE(!r.failed, r.report);
        CHECK((r.complete || sanitized()));
      }
    }
  }

  TEST_CASE("a thief that sleeps without a fence, or looks before it says so, loses work") {
    for (const rules r : {rules{.fence = false}, rules{.announces = false}}) {
      const result res = run({.name = "deque/rule dropped", .preemptions = 4, .stale_reads = 4},
                             [r](auto& s) { theft_against_sleep(s, "++", r); });
      CHECK((res.failed || sanitized()));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed, but for those excused" *
            doctest::skip(sanitized())) {
    std::vector<exploration> explorations;
    for (const auto& [name, scenario] : all_scenarios()) {
      explorations.push_back({{.name = name, .preemptions = 2}, scenario});
    }
    const verdict v = weaken_each(explorations, {"/fork_deque.hpp"}, excuses);
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 11);
  }
}

}  // namespace

}  // namespace fork_deque_explore_test

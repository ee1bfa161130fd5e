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

namespace {

using namespace weft::explore;

struct item {
  plain<int> payload;
  plain<bool> taken;
};

using deque = weft::detail::fork_deque<item, weft::explore::atomics>;

struct script {
  const char* name;
  std::string_view owner;          // '+' push, '-' pop, '?' empty
  std::array<unsigned, 2> steals;  // of each thief
  std::int64_t first = 0;
  unsigned preemptions = 2;
};

// A capacity of two: the third item that is there at once makes the array grow, and the third push
// in all uses a slot again.
constexpr script scripts[] = {
    {"deque/last item", "+-", {1, 1}, 0, 3},
    {"deque/two items", "++--", {1, 1}},
    {"deque/three takers", "++-", {1, 1}, 0, 3},
    {"deque/again and again", "+-+-", {1, 1}},
    {"deque/slot used again", "++-+-", {2, 1}},
    {"deque/growth", "+++-", {2, 1}},
    {"deque/growth while stealing", "++-+++", {1, 1}},
    {"deque/indices wrap", "+++--", {1, 1}, std::numeric_limits<std::int64_t>::max() - 1},
};

void take(item* i) {
  if (i == nullptr) return;
  check(i->payload.read() != 0, "what the item points to has been handed over");
  check(!i->taken.read(), "an item is taken once");
  i->taken.write(true);
}

struct state {
  explicit state(std::int64_t first) : queue(2, first) {}
  std::array<item, 8> items;
  deque queue;
  int pushed = 0;
};

auto scenario_of(const script& sc) {
  return [&sc](scenario& s) {
    const auto st = std::make_shared<state>(sc.first);
    s.thread([st, &sc] {
      for (const char step : sc.owner) {
        if (step == '-') {
          take(st->queue.pop());
        } else {
          item& next = st->items[static_cast<std::size_t>(st->pushed++)];
          next.payload.write(st->pushed);
          check(st->queue.push(&next), "there is memory");
        }
      }
    });
    for (const unsigned steals : sc.steals) {
      s.thread([st, steals] {
        for (unsigned i = 0; i != steals; ++i) take(st->queue.steal());
      });
    }
    s.at_end([st] {
      while (item* left = st->queue.pop()) take(left);
      check(st->queue.empty(), "what was popped to the end is empty");
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
    check(st->queue.push(&st->items[0]), "there is memory");
    st->woken = st->asleep.load(std::memory_order_seq_cst);
  });
  s.thread([st, by_steal] {
    st->asleep.exchange(true, std::memory_order_seq_cst);
    st->found = by_steal ? st->queue.steal() != nullptr : !st->queue.empty();
  });
  s.at_end([st] { check(st->woken || st->found, "the work or the sleeper is seen"); });
}

using set_up = std::function<void(scenario&)>;
std::vector<std::pair<const char*, set_up>> all_scenarios() {
  std::vector<std::pair<const char*, set_up>> all;
  all.emplace_back("deque/push against sleep, empty",
                   [](auto& s) { push_against_sleep(s, false); });
  all.emplace_back("deque/push against sleep, steal", [](auto& s) { push_against_sleep(s, true); });
  for (const script& sc : scripts) all.emplace_back(sc.name, scenario_of(sc));
  return all;
}

constexpr std::string_view future =
    "keeps a load from seeing what is stored after a later access, which the explorer never shows";
constexpr excuse excuses[] = {
    {"push load acquire #0", future},
    {"steal load acquire #0", future},
    {"pop rmw seq_cst #0", future},
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

  TEST_CASE("each memory order that is weakened is noticed, but for those excused" *
            doctest::skip(sanitized())) {
    std::vector<exploration> explorations;
    for (const auto& [name, scenario] : all_scenarios()) {
      explorations.push_back({{.name = name, .preemptions = 2}, scenario});
    }
    const verdict v = weaken_each(explorations, {"/fork_deque.hpp"}, excuses);
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 12);
  }
}

}  // namespace

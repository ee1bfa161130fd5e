// SPDX-License-Identifier: MIT

// The explorer on classics: it finds what is wrong with the weak versions and accepts the others.

#include "atomic.hpp"
#include "engine.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace explore_test {

namespace {

using namespace weft::explore;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;
constexpr auto seq_cst = std::memory_order_seq_cst;

// Each thread stores its own flag and loads the other's: can both miss the other?
result store_buffering(std::memory_order store, std::memory_order load) {
  struct state {
    atomic<int> x{0}, y{0};
    int saw_x = -1, saw_y = -1;
  };
  return run({.name = "store buffering"}, [=](scenario& s) {
    auto st = std::make_shared<state>();
    s.thread([=] { st->x.store(1, store), st->saw_y = st->y.load(load); });
    s.thread([=] { st->y.store(1, store), st->saw_x = st->x.load(load); });
    s.at_end([=] { check(st->saw_x + st->saw_y != 0, "one sees the other"); });
  });
}

// A payload handed over by a flag.
result message_passing(std::memory_order store, std::memory_order load) {
  struct state {
    plain<int> payload;
    atomic<bool> ready{false};
  };
  return run({.name = "message passing"}, [=](scenario& s) {
    auto st = std::make_shared<state>();
    s.thread([=] { st->payload.write(42), st->ready.store(true, store); });
    s.thread([=] {
      if (st->ready.load(load)) check(st->payload.read() == 42, "the payload is there");
    });
  });
}

// A payload handed over through a counter that a third thread counts up in between.
result release_sequence(bool counter_breaks_it) {
  struct state {
    plain<int> payload;
    atomic<int> count{0};
  };
  return run({.name = "release sequence"}, [=](scenario& s) {
    auto st = std::make_shared<state>();
    s.thread([=] { st->payload.write(1), st->count.store(1, release); });
    s.thread([=] {
      if (counter_breaks_it) {
        if (st->count.load(relaxed) == 1) st->count.store(2, relaxed);
      } else {
        int one = 1;
        st->count.compare_exchange_strong(one, 2, relaxed, relaxed);
      }
    });
    s.thread([=] {
      if (st->count.load(acquire) == 2) (void)st->payload.read();
    });
  });
}

result counting(bool atomically) {
  return run({.name = "counting"}, [=](scenario& s) {
    auto count = std::make_shared<atomic<int>>(0);
    for (int i = 0; i != 2; ++i) {
      s.thread([=] {
        if (atomically) {
          count->fetch_add(1, relaxed);
        } else {
          count->store(count->load(seq_cst) + 1, seq_cst);
        }
      });
    }
    s.at_end([=] { check(count->load(relaxed) == 2, "both are counted"); });
  });
}

// Two readers of two independent writers: do they agree on who was first?
result independent_reads(std::memory_order store, std::memory_order load) {
  struct state {
    atomic<int> x{0}, y{0};
    int a = 0, b = 0, c = 0, d = 0;
  };
  return run({.name = "independent reads", .preemptions = 3}, [=](scenario& s) {
    auto st = std::make_shared<state>();
    s.thread([=] { st->x.store(1, store); });
    s.thread([=] { st->y.store(1, store); });
    s.thread([=] { st->a = st->x.load(load), st->b = st->y.load(load); });
    s.thread([=] { st->c = st->y.load(load), st->d = st->x.load(load); });
    s.at_end([=] {
      check(!(st->a == 1 && st->b == 0 && st->c == 1 && st->d == 0), "one order for all");
    });
  });
}

// The seq_cst accesses of different variables that happens-before chains together.
result coherence() {
  return run({.name = "coherence"}, [=](scenario& s) {
    auto x = std::make_shared<atomic<int>>(0);
    s.thread([=] { x->store(1, relaxed), x->store(2, relaxed); });
    s.thread([=] {
      const int first = x->load(relaxed);
      check(first <= x->load(relaxed), "no thread sees a variable go back");
    });
  });
}

result sleeping(bool re_check) {
  struct state {
    atomic<int> work{0}, sleeping{0};
    doorbell bell;
  };
  return run({.name = "sleeping"}, [=](scenario& s) {
    auto st = std::make_shared<state>();
    s.thread([=] {
      st->work.store(1, seq_cst);
      if (st->sleeping.load(seq_cst) == 1) st->bell.ring();
    });
    s.thread([=] {
      if (st->work.load(seq_cst) == 1) return;
      st->sleeping.store(1, seq_cst);
      if (re_check && st->work.load(seq_cst) == 1) return;
      st->bell.wait();
    });
  });
}

TEST_SUITE("support/explore") {
  TEST_CASE("store buffering shows unless all four accesses are seq_cst") {
    CHECK(store_buffering(relaxed, relaxed).failed);
    CHECK(store_buffering(release, acquire).failed);
    CHECK(store_buffering(release, seq_cst).failed);
    CHECK(store_buffering(seq_cst, acquire).failed);
    const result right = store_buffering(seq_cst, seq_cst);
    CHECK_MESSAGE(!right.failed, right.report);
    CHECK((right.complete || sanitized()));
  }

  TEST_CASE("message passing is a race without both release and acquire") {
    CHECK(message_passing(relaxed, acquire).failed);
    CHECK(message_passing(release, relaxed).failed);
    CHECK(message_passing(relaxed, relaxed).report.find("data race") != std::string::npos);
    const result right = message_passing(release, acquire);
    CHECK_MESSAGE(!right.failed, right.report);
    CHECK((right.complete || sanitized()));
  }

  TEST_CASE("a read-modify-write carries a release on, a store does not") {
    CHECK(release_sequence(true).failed);
    const result right = release_sequence(false);
    CHECK_MESSAGE(!right.failed, right.report);
  }

  TEST_CASE("a lost update shows, however strong the orders are") {
    CHECK(counting(false).failed);
    CHECK(!counting(true).failed);
  }

  TEST_CASE("independent reads of independent writes may disagree unless seq_cst") {
    CHECK(independent_reads(release, acquire).failed);
    CHECK(!independent_reads(seq_cst, seq_cst).failed);
  }

  TEST_CASE("a variable never goes back for one thread") { CHECK(!coherence().failed); }

  TEST_CASE("a lost wake-up is a deadlock, a re-check mends it") {
    CHECK(sleeping(false).report.find("deadlock") != std::string::npos);
    CHECK(!sleeping(true).failed);
  }

  TEST_CASE("an object is a race for a thread that was not told of it") {
    const auto publish = [](std::memory_order store, std::memory_order load) {
      return run({.name = "publish"}, [=](scenario& s) {
        struct state {
          std::unique_ptr<atomic<int>> made;
          atomic<atomic<int>*> published{nullptr};
        };
        auto st = std::make_shared<state>();
        s.thread([=] {
          st->made = std::make_unique<atomic<int>>(1);
          st->published.store(st->made.get(), store);
        });
        s.thread([=] {
          if (auto* a = st->published.load(load)) check(a->load(relaxed) == 1, "made");
        });
      });
    };
    CHECK(publish(relaxed, acquire).failed);
    CHECK(publish(release, relaxed).failed);
    CHECK(!publish(release, acquire).failed);
  }

  TEST_CASE("the end of an object is a race with a thread that may use it") {
    const auto part = [](std::memory_order last) {
      return run({.name = "part"}, [=](scenario& s) {
        struct state {
          std::unique_ptr<atomic<int>> owners = std::make_unique<atomic<int>>(2);
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i != 2; ++i) {
          s.thread([=] {
            if (st->owners->fetch_sub(1, last) == 1) st->owners.reset();
          });
        }
      });
    };
    CHECK(part(relaxed).failed);
    CHECK(part(release).failed);
    const result right = part(acq_rel);
    CHECK_MESSAGE(!right.failed, right.report);
    CHECK((right.complete || sanitized()));
  }

  TEST_CASE("who spins goes on when what it looks at has changed") {
    const auto spinning = [](bool ends) {
      return run({.name = "spinning"}, [=](scenario& s) {
        auto flag = std::make_shared<atomic<int>>(0);
        s.thread([=] {
          while (flag->load(relaxed) != 2) engine::active().spin();
        });
        s.thread([=] { flag->store(1, relaxed), flag->store(ends ? 2 : 3, relaxed); });
      });
    };
    CHECK(spinning(false).report.find("deadlock") != std::string::npos);
    const result right = spinning(true);
    CHECK_MESSAGE(!right.failed, right.report);
    CHECK((right.complete || sanitized()));
  }

  TEST_CASE("a scenario is told which thread goes on") {
    const result r = run({.name = "switches"}, [](scenario& s) {
      struct state {
        atomic<int> x{0};
        unsigned current = 0;
      };
      auto st = std::make_shared<state>();
      s.on_switch([st = st.get()](unsigned thread) { st->current = thread; });
      for (unsigned i = 1; i != 3; ++i) {
        const unsigned number = s.thread([=] {
          for (int n = 0; n != 2; ++n) {
            check(st->current == i, "it is this one");
            st->x.fetch_add(1, acq_rel);
          }
        });
        check(number == i, "threads are numbered from 1");
      }
      s.at_end([=] { check(st->current == 0, "the checks run as thread 0"); });
    });
    CHECK_MESSAGE(!r.failed, r.report);
    CHECK((r.complete || sanitized()));
  }

  TEST_CASE("a mutex orders and excludes") {
    const auto guarded = [](bool locked) {
      return run({.name = "guarded"}, [=](scenario& s) {
        struct state {
          mutex m;
          plain<int> count;
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i != 2; ++i) {
          s.thread([=] {
            if (locked) st->m.lock();
            st->count.write(st->count.read() + 1);
            if (locked) st->m.unlock();
          });
        }
        s.at_end([=] { check(st->count.read() == 2, "both are counted"); });
      });
    };
    CHECK(guarded(false).failed);
    CHECK(!guarded(true).failed);
  }

  TEST_CASE("every outcome of a small scenario is reached") {
    // Two threads of two steps each: x is written by one, read twice by the other.
    std::set<std::pair<int, int>> seen;
    const result r = run({.name = "outcomes"}, [&](scenario& s) {
      struct state {
        atomic<int> x{0};
        int first = 0, second = 0;
      };
      auto st = std::make_shared<state>();
      s.thread([=] { st->x.store(1, relaxed), st->x.store(2, relaxed); });
      s.thread([=] { st->first = st->x.load(relaxed), st->second = st->x.load(relaxed); });
      s.at_end([st, &seen] { seen.emplace(st->first, st->second); });
    });
    CHECK(!r.failed);
    const std::set<std::pair<int, int>> all{{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
    CHECK(seen == all);
  }

  TEST_CASE("random executions find what the bounds exclude") {
    const auto build = [](scenario& s) {
      auto x = std::make_shared<atomic<int>>(0);
      s.thread([=] {
        for (int i = 1; i != 4; ++i) x->store(i, relaxed);
      });
      s.thread([=] { check(x->load(relaxed) != 2, "the middle is not seen"); });
    };
    CHECK(!run({.name = "middle", .preemptions = 0, .stale_reads = 0}, build).failed);
    CHECK(run({.name = "middle", .preemptions = 0, .stale_reads = 0, .random_executions = 1000},
              build)
              .failed);
  }

  TEST_CASE("a site is weakened by name and the weak one found") {
    const auto build = [](scenario& s) {
      struct state {
        plain<int> payload;
        atomic<int> flag{0};
      };
      auto st = std::make_shared<state>();
      s.thread([=] { st->payload.write(1), st->flag.fetch_add(1, acq_rel); });
      s.thread([=] {
        if (st->flag.load(acquire) == 1) (void)st->payload.read();
      });
    };
    const result right = run({.name = "sites"}, build);
    REQUIRE(!right.failed);
    REQUIRE(right.sites.size() == 2);
    unsigned found = 0;
    for (const mutation& m : weakenings(right.sites)) {
      found += run_mutant({.name = "sites"}, m, build).failed ? 1U : 0U;
    }
    CHECK(weakenings(right.sites).size() == 4);
    CHECK(found == 3);  // the acquire half of the acq_rel is not needed
  }
}

}  // namespace

}  // namespace explore_test

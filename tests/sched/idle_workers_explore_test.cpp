// SPDX-License-Identifier: MIT

// Parking under every interleaving (within the bounds of the explorer): a pool in small, whose
// workers live by the real work_or_park, on the real fork_deque, shared_inbox, idle_workers and
// parker, and whose jobs need other jobs to run beside them. A lost wake-up leaves a job queued and
// all workers asleep or stuck, which the explorer calls a deadlock. And the proof that this would
// be noticed: each rule that is dropped, each order that is weakened.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "weft/runtime/detail/fork_deque.hpp"
#include "weft/runtime/detail/idle_workers.hpp"
#include "weft/runtime/detail/parker.hpp"
#include "weft/sched/detail/shared_inbox.hpp"
#include "weft/sched/detail/theft_note.hpp"
#include "weft/sched/detail/work_or_park.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idle_workers_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;

// The rules of the protocol; each mutant breaks one. Those that work_or_park keeps are broken from
// outside: it is told what makes it do what it would do without the rule.
struct rules {
  bool re_check = true;             // look again after the announcement
  bool re_check_unsearched = true;  // also when going to sleep without having searched
  bool re_check_claims = true;      // it claims a sleeper, itself maybe; else: it just goes on
  bool last_wakes_next = true;      // the last searcher that finds work wakes another worker
  bool wake_after_push = true;
  bool tell_of_more = true;  // who takes one of several that were posted
  bool parked_word = true;   // who is claimed is unparked
  bool tells_search = true;  // go_to_sleep is told that the worker searched
  bool force = true;         // who finds nothing shared takes what is hidden
  bool notes_theft = true;
  bool fence = true;  // all threads pass one before who sleeps looks for what is hidden
  int looks = 0;      // that a searcher looks again before it sleeps; breaks none
};

class small_pool {
public:
  struct job : detail::message {
    std::function<void(unsigned worker)> body;
    plain<bool> ran;
  };

  explicit small_pool(unsigned workers, rules r = {}) : rules_(r), idle_(workers, r) {
    for (unsigned i = 0; i != workers; ++i) seats_.push_back(std::make_unique<seat>(*this, i));
  }

  job* make(std::function<void(unsigned)> body) {
    jobs_.emplace_back().body = std::move(body);
    ++unfinished_;
    return &jobs_.back();
  }

  // What a worker's body does to fork.
  void push(unsigned me, job* j) {
    check(seats_[me]->queue.push(j, [this] { tell(); }), "there is memory");
  }
  void tell() {
    if (rules_.wake_after_push && idle_.should_wake()) wake_one();
  }

  // What a thread outside of the pool does.
  void post(job* j) {
    posted_.push(*j);
    tell();
  }

  // A job that is there from the start.
  void preload(unsigned w, job* j) { check(seats_[w]->queue.push(j), "there is memory"); }

  // A completion: the sleep ends, nobody has claimed or unparked the worker.
  void complete_io(unsigned w) { seats_[w]->bell.ring(); }

  void stop() {
    for (const auto& w : seats_) {
      if (w->parking_word.terminate()) w->bell.ring();
    }
  }

  void run_worker(unsigned me) { detail::work_or_park(idle_, me, *seats_[me]); }

  bool all_ran() const { return unfinished_ == 0; }

private:
  // Keeps the books as idle_workers does, and lies to the worker about a rule that is dropped.
  struct books : detail::idle_workers<atomics, mutex> {
    books(unsigned workers, rules r) : idle_workers(workers), kept(r) {}
    bool end_search() noexcept { return idle_workers::end_search() && kept.last_wakes_next; }
    bool go_to_sleep(unsigned me, bool searched) noexcept {
      const bool nobody = idle_workers::go_to_sleep(me, searched && kept.tells_search);
      return nobody && kept.re_check && (searched || kept.re_check_unsearched);
    }
    const rules kept;
  };

  // What work_or_park asks of it.
  struct seat {
    seat(small_pool& home, unsigned index) : pool(home), me(index) {}

    bool look() {
      if (next == nullptr) next = queue.pop(nullptr, [this] { pool.tell(); });
      if (next == nullptr) next = pool.take_posted();
      return next != nullptr;
    }
    void run_ready() { run(*std::exchange(next, nullptr)); }
    bool must_look_again() const { return false; }
    job* steal() { return pool.steal_from_others(me); }
    void run(job& j) {
      pool.run(&j, me);
      looks_left = pool.rules_.looks;
    }
    bool search_again() { return looks_left != 0 && looks_left-- != 0; }
    bool work_anywhere() {
      const bool any = pool.any_work();
      if (pool.rules_.re_check_claims || !any) return any;
      (void)parking_word.unpark();  // no sleep begins
      return false;
    }
    void wake_one() { pool.wake_one(); }
    void about_to_sleep() {}
    void sleep() { bell.wait(); }
    detail::parker<atomics>& parking() { return parking_word; }

    small_pool& pool;
    const unsigned me;
    detail::fork_deque<job, atomics> queue{detail::forks_taken_by::thieves, 2};
    detail::parker<atomics> parking_word;
    doorbell bell;
    job* next = nullptr;
    int looks_left = pool.rules_.looks;
  };

  void wake_one() {
    const int w = idle_.claim_sleeper();
    if (w < 0) return;
    seat& target = *seats_[static_cast<unsigned>(w)];
    if (rules_.parked_word && target.parking_word.unpark()) target.bell.ring();
  }

  job* take_posted() {
    return static_cast<job*>(posted_.take([this] {
      if (rules_.tell_of_more) tell();
    }));
  }

  job* steal_from_others(unsigned me) {
    for (const bool by_force : {false, true}) {
      for (std::size_t i = 1; i != seats_.size(); ++i) {
        auto& victim = seats_[(me + i) % seats_.size()]->queue;
        if (by_force && (!rules_.force || !victim.hides())) continue;
        job* const j = by_force ? victim.steal_by_force(heavy_fence) : victim.steal();
        if (j == nullptr) continue;
        if (rules_.notes_theft) thefts_.note();
        return j;
      }
    }
    return nullptr;
  }

  bool any_work() {
    if (!posted_.empty()) return true;
    const auto any = [this](auto has_some) {
      return std::any_of(seats_.begin(), seats_.end(),
                         [&](const auto& w) { return has_some(w->queue); });
    };
    if (thefts_.take()) {
      if (rules_.fence) heavy_fence();
      if (any([](const auto& q) { return q.hides(); })) {
        thefts_.note();
        return true;
      }
    }
    return any([](const auto& q) { return q.offers(); });
  }

  void run(job* j, unsigned me) {
    check(!j->ran.read(), "a job runs once");
    j->ran.write(true);
    j->body(me);
    --unfinished_;
  }

  const rules rules_;
  books idle_;
  std::vector<std::unique_ptr<seat>> seats_;
  detail::theft_note<atomics> thefts_;
  detail::basic_shared_inbox<atomics, mutex> posted_;
  std::deque<job> jobs_;
  int unfinished_ = 0;
};

using set_up = std::function<void(scenario&, rules)>;

void add_workers(scenario& s, const std::shared_ptr<small_pool>& pool, unsigned workers) {
  for (unsigned w = 0; w != workers; ++w) {
    s.thread([pool, w] { pool->run_worker(w); });
  }
  s.at_quiescence([pool] {
    check(pool->all_ran(), "work is queued and all workers are asleep or stuck");
    pool->stop();
  });
}

// Jobs that go on only when `n` of them run at once, on as many workers.
struct meeting {
  explicit meeting(int n) : missing(n) {}
  void attend() {
    --missing;
    wait_until([this] { return missing <= 0; });
  }
  int missing;
};

// A worker runs a body that forks children and waits, blocking its thread, until all run at once.
std::shared_ptr<small_pool> forking(rules r, unsigned workers, int children) {
  const auto pool = std::make_shared<small_pool>(workers, r);
  const auto all = std::make_shared<meeting>(1 + children);
  std::vector<small_pool::job*> forked;
  for (int i = 0; i != children; ++i) {
    forked.push_back(pool->make([all](unsigned) { all->attend(); }));
  }
  pool->preload(0, pool->make([=, p = pool.get()](unsigned me) {
    for (small_pool::job* const child : forked) p->push(me, child);
    all->attend();
  }));
  return pool;
}

void fork_one(scenario& s, rules r) { add_workers(s, forking(r, 2, 1), 2); }
void fork_two(scenario& s, rules r) { add_workers(s, forking(r, 3, 2), 3); }

// The same while the other worker is woken by a completion.
void fork_and_io(scenario& s, rules r) {
  const auto pool = forking(r, 2, 1);
  add_workers(s, pool, 2);
  s.thread([pool] { pool->complete_io(1); });
}

// The second fork finds the books as the first one did: who has run a stolen job searches no more.
void fork_twice(scenario& s, rules r) {
  const auto pool = std::make_shared<small_pool>(2, r);
  const auto first = std::make_shared<meeting>(2);
  const auto second = std::make_shared<meeting>(2);
  auto* const child = pool->make([first](unsigned) { first->attend(); });
  auto* const other = pool->make([second](unsigned) { second->attend(); });
  pool->preload(0, pool->make([=, p = pool.get()](unsigned me) {
    p->push(me, child);
    first->attend();
    p->push(me, other);
    second->attend();
  }));
  add_workers(s, pool, 2);
}

// One steals a job that is done at once, and what else was forked has to run beside the forker.
void fork_behind_a_short_one(scenario& s, rules r, unsigned workers, int children) {
  const auto pool = std::make_shared<small_pool>(workers, r);
  const auto all = std::make_shared<meeting>(1 + children);
  std::vector<small_pool::job*> forked{pool->make([](unsigned) {})};
  for (int i = 0; i != children; ++i) {
    forked.push_back(pool->make([all](unsigned) { all->attend(); }));
  }
  pool->preload(0, pool->make([=, p = pool.get()](unsigned me) {
    for (small_pool::job* const child : forked) p->push(me, child);
    all->attend();
  }));
  add_workers(s, pool, workers);
}
void short_and_long(scenario& s, rules r) { fork_behind_a_short_one(s, r, 2, 1); }
void short_and_two_long(scenario& s, rules r) { fork_behind_a_short_one(s, r, 3, 2); }

// Somebody outside posts two jobs that must run at once.
void post_two(scenario& s, rules r) {
  const auto pool = std::make_shared<small_pool>(2, r);
  const auto all = std::make_shared<meeting>(2);
  auto* const a = pool->make([all](unsigned) { all->attend(); });
  auto* const b = pool->make([all](unsigned) { all->attend(); });
  add_workers(s, pool, 2);
  s.thread([=] {
    pool->post(a);
    pool->post(b);
  });
}

// A worker forks while somebody outside posts: three workers, three jobs that must run at once.
void fork_and_post(scenario& s, rules r) {
  const auto pool = std::make_shared<small_pool>(3, r);
  const auto all = std::make_shared<meeting>(3);
  auto* const child = pool->make([all](unsigned) { all->attend(); });
  auto* const posted = pool->make([all](unsigned) { all->attend(); });
  pool->preload(0, pool->make([=, p = pool.get()](unsigned me) {
    p->push(me, child);
    all->attend();
  }));
  add_workers(s, pool, 3);
  s.thread([=] { pool->post(posted); });
}

// A stop request meets workers that are parking: none sleeps on.
void stop_while_parking(scenario& s, rules r) {
  const auto pool = std::make_shared<small_pool>(2, r);
  for (unsigned w = 0; w != 2; ++w) {
    s.thread([pool, w] { pool->run_worker(w); });
  }
  s.thread([pool] {
    pool->complete_io(0);
    pool->stop();
  });
}

// The parker alone: a worker, somebody who leaves a thing for it, somebody who ends it all. What
// was left before the worker is unparked, or terminated, is there for it afterwards; no doorbell is
// missed; and who has to ring it finds it, although the worker itself has put it up.
struct parked_worker {
  detail::parker<atomics> parker;
  doorbell bell;
  plain<bool> bell_is_there;
  plain<int> left, left_last;

  void ring() {
    check(bell_is_there.read(), "there is a doorbell to ring");
    bell.ring();
  }
  void park() {
    if (parker.prepare_park()) {
      bell.wait();
      parker.resume();
    }
  }
};

void leave(scenario& s, rules) {
  const auto w = std::make_shared<parked_worker>();
  s.thread([w] {
    w->bell_is_there.write(true);
    w->park();
    check(w->left.read() == 1, "what was left is there");
  });
  s.thread([w] {
    w->left.write(1);
    if (w->parker.unpark()) w->ring();
  });
}

void leave_and_terminate(scenario& s, rules) {
  const auto w = std::make_shared<parked_worker>();
  s.thread([w] {
    w->bell_is_there.write(true);
    for (bool woken = false; !w->parker.terminated(); woken = true) {
      if (woken) check(w->left.read() == 1, "what was left is there");
      w->park();
    }
    check(w->left_last.read() == 1, "what was left last is there");
    check(!w->parker.prepare_park(), "who is terminated does not sleep again");
  });
  s.thread([w] {
    w->left.write(1);
    if (w->parker.unpark()) w->ring();
  });
  s.thread([w] {
    w->left_last.write(1);
    if (w->parker.terminate()) w->ring();
  });
}

struct named {
  const char* name;
  void (*build)(scenario&, rules);
  unsigned preemptions, stale_reads;
};
// The same with searchers that look again.
void fork_one_patiently(scenario& s, rules r) {
  r.looks = 1;
  fork_one(s, r);
}
void post_two_patiently(scenario& s, rules r) {
  r.looks = 1;
  post_two(s, r);
}

constexpr named scenarios[] = {
    {"parking/fork one", fork_one, 2, 1},
    {"parking/post two", post_two, 1, 1},
    {"parking/fork and io", fork_and_io, 1, 1},
    {"parking/fork twice", fork_twice, 1, 1},
    {"parking/a short and a long one", short_and_long, 2, 1},
    {"parking/a short and two long ones", short_and_two_long, 0, 1},
    {"parking/fork one, patiently", fork_one_patiently, 2, 0},
    {"parking/post two, patiently", post_two_patiently, 1, 0},
    {"parking/fork two", fork_two, 1, 0},
    {"parking/fork and post", fork_and_post, 0, 0},
    {"parking/stop while parking", stop_while_parking, 1, 1},
};

options bounds(const named& n) {
  return {.name = n.name,
          .preemptions = n.preemptions,
          .stale_reads = n.stale_reads,
          .random_executions = 3000};
}

constexpr std::string_view uniform = "R1 needs only should_wake and go_to_sleep in one order; the "
                                     "word keeps one order for all, so that "
                                     "nobody has to prove that less will do";
constexpr excuse excuses[] = {
    {"try_begin_search rmw seq_cst #0", uniform},
    {"woke_up rmw seq_cst #0", uniform},
    {"claim_sleeper rmw seq_cst #0", uniform},
};

TEST_SUITE("sched/idle_workers explored") {
  TEST_CASE("work is never queued while all workers sleep") {
    for (const named& n : scenarios) {
      const result r = run(bounds(n), [&](scenario& s) { n.build(s, {}); });
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("a parked worker misses neither a notification nor its end") {
    for (const named& n : {named{"parker/leave", leave, 4, 4},
                           named{"parker/leave and terminate", leave_and_terminate, 4, 2}}) {
      const result r = run(bounds(n), [&](scenario& s) { n.build(s, {}); });
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of the protocol that is dropped is noticed" * doctest::skip(sanitized())) {
    const std::pair<const char*, rules> mutants[] = {
        {"no re-check", {.re_check = false}},
        {"only who searched re-checks", {.re_check_unsearched = false}},
        {"the re-check does not claim", {.re_check_claims = false}},
        {"the last searcher wakes nobody", {.last_wakes_next = false}},
        {"a push wakes nobody", {.wake_after_push = false}},
        {"nobody is told of what a take leaves behind", {.tell_of_more = false}},
        {"a claimed worker is not unparked", {.parked_word = false}},
        {"a searcher sleeps as if it had not searched", {.tells_search = false}},
        {"what is hidden stays so", {.force = false}},
        {"a theft is not noted", {.notes_theft = false}},
        {"nobody passes a fence after a theft", {.fence = false}},
    };
    for (const auto& [what, broken] : mutants) {
      bool noticed = false;
      for (const named& n : scenarios) {
        const rules b = broken;
        noticed = noticed || run(bounds(n), [&](scenario& s) { n.build(s, b); }).failed;
      }
      CHECK_MESSAGE(noticed, std::string(what));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed, but for those excused" *
            doctest::skip(sanitized())) {
    constexpr named small[] = {
        {"parker/leave", leave, 2, 1},
        {"parker/leave and terminate", leave_and_terminate, 2, 1},
        {"parking/fork one", fork_one, 2, 1},
        {"parking/post two", post_two, 2, 1},
    };
    std::vector<exploration> explorations;
    for (const named& n : small) {
      explorations.push_back(
          {{.name = n.name, .preemptions = n.preemptions, .stale_reads = n.stale_reads},
           [&n](scenario& sc) { n.build(sc, {}); }});
    }
    const verdict v = weaken_each(
        explorations, {"/parker.hpp", "/idle_workers.hpp", "/shared_inbox.hpp"}, excuses);
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 8);
  }
}

}  // namespace

}  // namespace idle_workers_explore_test

// SPDX-License-Identifier: MIT

// The mailbox under every interleaving (within the bounds of the explorer), and the inbox of a pool
// that stands on it: each message arrives once, whole, in the order of its sender; a worker that
// sleeps between the looks misses none, whether it is the only reader and is unparked, or one of a
// pool that is woken by the idle word.
// Each order that is weakened and each rule that is dropped is noticed.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "weft/runtime/detail/idle_workers.hpp"
#include "weft/runtime/detail/parker.hpp"
#include "weft/runtime/message.hpp"
#include "weft/sched/detail/shared_inbox.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mailbox_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;

struct letter : detail::message {
  plain<int> payload;
  plain<bool> read;
};

using mailbox = detail::basic_mailbox<weft::explore::atomics>;
using shared_inbox = detail::basic_shared_inbox<weft::explore::atomics, mutex>;

/// Who reads letters, some at a time.
class reader {
public:
  void read(detail::message& m) {
    auto& l = static_cast<letter&>(m);
    const int payload = l.payload.read();
    check(payload != 0, "what the sender wrote has been handed over");
    check(!l.read.read(), "a message arrives once");
    l.read.write(true);
    int& before = last_[static_cast<std::size_t>(payload / 10)];
    check(before < payload, "messages of one sender keep their order");
    before = payload;
    ++count_;
  }
  int count() const { return count_; }

private:
  std::array<int, 2> last_{};
  int count_ = 0;
};

template <class Box>
struct post_to {
  static constexpr std::size_t senders_max = 2, letters_max = 2;

  // Letter `nth` of `sender`, whose payload tells the letters of a sender apart.
  letter& write(std::size_t sender, std::size_t nth) {
    letter& l = letters[sender][nth];
    l.payload.write(static_cast<int>(10 * sender + nth + 1));
    return l;
  }
  void send(std::size_t sender, std::size_t letters_sent) {
    for (std::size_t n = 0; n != letters_sent; ++n) box.push(write(sender, n));
  }

  Box box;
  std::array<std::array<letter, letters_max>, senders_max> letters;
};

struct post : post_to<mailbox> {
  // Says how many letters it has read.
  int read_all() {
    reader all;
    detail::message* m = box.drain();
    while (m != nullptr) {
      detail::message* const next = m->next_message;
      all.read(*m);
      m = next;
    }
    return all.count();
  }
};

// Two senders, and readers that look a few times without ever sleeping.
void send_and_drain(scenario& s, unsigned readers) {
  struct state : post {
    std::array<int, 2> read{};
  };
  const auto st = std::make_shared<state>();
  s.thread([st] { st->send(0, 2); });
  s.thread([st] { st->send(1, 1); });
  for (unsigned r = 0; r != readers; ++r) {
    s.thread([st, r] {
      for (int looks = 0; looks != 2; ++looks) st->read[r] += st->read_all();
    });
  }
  s.at_end([st] {
    const int left = st->read_all();
    check(st->read[0] + st->read[1] + left == 3, "no message is lost");
    check(st->box.empty(), "a mailbox that was read to its end is empty");
  });
}

// The same where readers take one at a time.
void send_and_take(scenario& s) {
  struct state : post_to<shared_inbox> {
    void take_by(reader& r) {
      if (detail::message* const m = box.take([] {})) r.read(*m);
    }
    std::array<reader, 2> readers;
  };
  const auto st = std::make_shared<state>();
  s.thread([st] { st->send(0, 2); });
  s.thread([st] { st->send(1, 1); });
  for (unsigned r = 0; r != 2; ++r) {
    s.thread([st, r] {
      for (int looks = 0; looks != 2; ++looks) st->take_by(st->readers[r]);
    });
  }
  s.at_end([st] {
    reader rest;
    while (!st->box.empty()) st->take_by(rest);
    const int read = st->readers[0].count() + st->readers[1].count() + rest.count();
    check(read == 3, "no message is lost");
  });
}

struct rules {
  bool unparks = true;       // who sends to one worker unparks it afterwards
  bool looks_at_own = true;  // a worker looks for what it has sent to itself before it parks
  bool re_check = true;      // who has announced its sleep to the pool looks again
  bool asks_after = true;    // who sends to a pool asks for sleepers after the push
};

struct sleeper : post {
  void park() {
    if (parker.prepare_park()) {
      bell.wait();
      parker.resume();
    }
  }
  void unpark() {
    if (parker.unpark()) bell.ring();
  }

  detail::parker<weft::explore::atomics> parker;
  doorbell bell;
};

// A worker and its own mailbox: in its second turn it sends itself a message, which needs no
// wake-up; it gets another one from somebody else.
void own_mailbox(scenario& s, rules r) {
  const auto st = std::make_shared<sleeper>();
  s.thread([st, r] {
    int turns = 0;
    for (int read = 0; read != 2;) {
      read += st->read_all();
      if (++turns == 2) st->send(0, 1);
      if (read == 2 || (r.looks_at_own && !st->box.empty())) continue;
      st->park();
    }
  });
  s.thread([st, r] {
    st->send(1, 1);
    if (r.unparks) st->unpark();
  });
}

// A pool of one worker and the mailbox of the pool, whose senders look for somebody to wake.
void mailbox_of_pool(scenario& s, rules r) {
  struct pool : sleeper {
    void wake_one() {
      if (idle.claim_sleeper() >= 0) unpark();
    }
    detail::idle_workers<weft::explore::atomics, mutex> idle{1};
  };
  const auto st = std::make_shared<pool>();
  s.thread([st, r] {
    bool searching = false;
    for (int read = 0; read != 2;) {
      if (const int found = st->read_all()) {
        read += found;
        if (std::exchange(searching, false) && st->idle.end_search()) st->wake_one();
        continue;
      }
      if (!searching) searching = st->idle.try_begin_search();
      const bool look = st->idle.go_to_sleep(0, searching);
      if (look && r.re_check && !st->box.empty()) st->wake_one();
      st->park();
      searching = st->idle.woke_up(0);
    }
  });
  for (std::size_t sender = 0; sender != 2; ++sender) {
    s.thread([st, r, sender] {
      const bool asked_before = !r.asks_after && st->idle.should_wake();
      st->send(sender, 1);
      if (r.asks_after ? st->idle.should_wake() : asked_before) st->wake_one();
    });
  }
}

struct named {
  const char* name;
  void (*build)(scenario&, rules);
  unsigned preemptions, stale_reads;
};
constexpr named sleeps[] = {
    {"mailbox/own", own_mailbox, 3, 3},
    {"mailbox/of a pool", mailbox_of_pool, 2, 1},
};

std::vector<exploration> explorations() {
  std::vector<exploration> all;
  for (unsigned readers = 1; readers <= 2; ++readers) {
    all.push_back({{.name = readers == 1 ? "mailbox/one reader" : "mailbox/two readers",
                    .preemptions = 2,
                    .stale_reads = 1,
                    .random_executions = 3'000},
                   [readers](scenario& s) { send_and_drain(s, readers); }});
  }
  all.push_back({{.name = "inbox/two readers",
                  .preemptions = 2,
                  .stale_reads = 1,
                  .random_executions = 3'000},
                 send_and_take});
  for (const named& n : sleeps) {
    all.push_back({{.name = n.name,
                    .preemptions = n.preemptions,
                    .stale_reads = n.stale_reads,
                    .random_executions = 3'000},
                   [&n](scenario& s) { n.build(s, {}); }});
  }
  return all;
}

TEST_SUITE("sched/mailbox explored") {
  TEST_CASE("each message arrives once and whole, and no worker sleeps through one") {
    for (const exploration& e : explorations()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of falling asleep that is dropped is noticed" * doctest::skip(sanitized())) {
    const std::pair<const char*, rules> mutants[] = {
        {"a sender unparks nobody", {.unparks = false}},
        {"what a worker sent to itself is not looked for", {.looks_at_own = false}},
        {"no re-check", {.re_check = false}},
        {"a sender asks for sleepers before the push", {.asks_after = false}},
    };
    for (const auto& [what, broken] : mutants) {
      bool noticed = false;
      for (const named& n : sleeps) {
        const rules b = broken;
        const options how{
            .name = n.name, .preemptions = n.preemptions, .stale_reads = n.stale_reads};
        noticed = noticed || run(how, [&](scenario& s) { n.build(s, b); }).failed;
      }
      CHECK_MESSAGE(noticed, std::string(what));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed" * doctest::skip(sanitized())) {
    const std::vector<exploration> all = explorations();
    const verdict v = weaken_each(all, {"/message.hpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 5);
  }
}

}  // namespace

}  // namespace mailbox_explore_test

// SPDX-License-Identifier: MIT

// What else stands in waiter_list's queue, under every interleaving (within the bounds of the
// explorer) of those who wait, those who tell them, and cancels: event, auto_reset_event, latch,
// oneshot, watch, broadcast and condition_variable. Nobody waits for what has happened already, a
// cancel loses nothing that was given to its waiter, and what was written before is seen. Each rule
// that is dropped is noticed. (semaphore and channel have tests of their own.)

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/auto_reset_event.hpp"
#include "weft/runtime/broadcast.hpp"
#include "weft/runtime/condition_variable.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/latch.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/oneshot.hpp"
#include "weft/runtime/watch.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace waiter_list_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;

/// A value whose copies and moves are accesses that may race.
struct item {
  explicit item(int n) noexcept : number(n) {}
  item(const item& other) noexcept : number(other.number) {}
  item(item&& other) noexcept : number(other.number) { other.number = -1; }
  item& operator=(const item& other) noexcept = default;

  detail::plain<int> number;
};

actor stop_alone(actor other) {
  own_promise own;
  (void)co_await own;
  detail::strand& line = *other.promise->line;
  if (line.try_stop_alone()) line.visit(nullptr, *detail::current_worker());
}

// A strand on worker 0 that another one cancels alone.
void spawn_to_cancel(world& w, actor waits, unsigned on = 1) {
  waits.promise->kept = true;
  w.spawn(0, waits);
  w.spawn(on, stop_alone(waits));
}

// ---- event, auto_reset_event, latch

struct flags : world {
  using world::world;

  weft::event event;
  weft::auto_reset_event signal;
  weft::latch latch{2};
  std::array<plain<int>, 2> written;
};

actor wait_for_event(flags& f) {
  auto wait = f.event.wait();
  const auto r = co_await as_result(std::move(wait));
  check(r.has_value() && f.written[0].read() == 1, "what was written before is there");
}

actor wait_or_be_cancelled(flags& f) {
  auto wait = f.event.wait();
  const auto r = co_await as_result(std::move(wait));
  check(!r || f.written[0].read() == 1, "what was written before is there");
}

void event_is_set(scenario& s) {
  const auto f = world::make<flags>(s, 2);
  spawn_to_cancel(*f, wait_or_be_cancelled(*f));
  f->spawn(1, wait_for_event(*f));
  f->outsider(s, [f = f.get()] {
    f->written[0].write(1);
    f->event.set();
  });
}

// Each signal lets one through, who passes it on.
actor pass_a_signal_on(flags& f, bool may_be_cancelled) {
  auto wait = f.signal.wait();
  const auto r = co_await as_result(std::move(wait));
  check(r.has_value() || may_be_cancelled, "who is not cancelled gets the signal");
  if (!r) co_return;
  f.written[0].write(f.written[0].read() + 1);
  f.signal.set();
}

void a_signal_is_given(scenario& s) {
  const auto f = world::make<flags>(s, 2);
  spawn_to_cancel(*f, pass_a_signal_on(*f, true));
  f->spawn(0, pass_a_signal_on(*f, false));
  f->outsider(s, [f = f.get()] { f->signal.set(); });
}

actor signal_later(flags& f) {
  own_promise own;
  (void)co_await own;
  f.signal.set();
}

void a_signal_meets_who_waits(scenario& s) {
  const auto f = world::make<flags>(s, 2);
  f->spawn(0, pass_a_signal_on(*f, false));
  f->spawn(1, signal_later(*f));
}

actor wait_for_latch(flags& f) {
  auto wait = f.latch.wait();
  const auto r = co_await as_result(std::move(wait));
  check(r.has_value(), "nobody is cancelled");
  for (const auto& w : f.written) check(w.read() == 1, "what each wrote before is there");
}

void latch_is_counted_down(scenario& s) {
  const auto f = world::make<flags>(s, 1);
  f->spawn(0, wait_for_latch(*f));
  for (std::size_t i = 0; i != 2; ++i) {
    f->outsider(s, [f = f.get(), i] {
      f->written[i].write(1);
      f->latch.count_down();
    });
  }
}

// Who is cancelled takes its arrival back: the latch needs two all the same.
actor arrive_or_be_cancelled(flags& f) {
  auto wait = f.latch.arrive_and_wait();
  const auto r = co_await as_result(std::move(wait));
  if (!r) f.latch.count_down();
}

actor arrive(flags& f) {
  auto wait = f.latch.arrive_and_wait();
  const auto r = co_await as_result(std::move(wait));
  check(r.has_value(), "nobody is cancelled");
}

void an_arrival_is_cancelled(scenario& s) {
  const auto f = world::make<flags>(s, 2);
  spawn_to_cancel(*f, arrive_or_be_cancelled(*f));
  f->spawn(1, arrive(*f));
}

// ---- oneshot

struct answers : world {
  using world::world;
  ~answers() override { check(sent.read() == received.read(), "what is sent is received"); }

  // Kept until the end: whose last end goes is not what is explored.
  std::shared_ptr<detail::oneshot_state<item>> one =
      std::make_shared<detail::oneshot_state<item>>();
  weft::oneshot_receiver<item> receiver{one};
  std::optional<weft::oneshot_sender<item>> sender{one};
  plain<int> sent{0}, received{0};
};

void check_item(answers& a, const std::optional<item>& got) {
  if (!got) return;
  check(got->number == 7, "the value is handed over");
  a.received.write(a.received.read() + 1);
}

actor receive_answer(answers& a) {
  auto receive = a.receiver.receive();
  const auto r = co_await as_result(std::move(receive));
  if (r) {
    check_item(a, *r);
  } else {
    a.receiver.close();
    check_item(a, a.receiver.try_receive());
  }
}

actor send_answer(answers& a) {
  own_promise own;
  (void)co_await own;
  if (a.sender->send(item(7))) a.sent.write(1);
  a.sender.reset();
}

actor go_without_answer(answers& a) {
  own_promise own;
  (void)co_await own;
  a.sender.reset();
}

void an_answer_is_sent(scenario& s) {
  const auto a = world::make<answers>(s, 2);
  a->spawn(0, receive_answer(*a));
  a->spawn(1, send_answer(*a));
}

void a_cancel_meets_the_answer(scenario& s) {
  const auto a = world::make<answers>(s, 3);
  spawn_to_cancel(*a, receive_answer(*a));
  a->spawn(2, send_answer(*a));
}

void no_answer_comes(scenario& s) {
  const auto a = world::make<answers>(s, 2);
  a->spawn(0, receive_answer(*a));
  a->spawn(1, go_without_answer(*a));
}

// ---- watch

struct watched : world {
  using world::world;

  std::shared_ptr<detail::watch_state<int>> value =
      std::make_shared<detail::watch_state<int>>(std::make_shared<const int>(0));
  std::optional<weft::watch_sender<int>> sender{value};
  plain<int> written;  // before each value
};

actor see_the_last(watched& w, bool may_be_cancelled) {
  weft::watch_receiver<int> rx(w.value, 0);
  int last = 0;
  for (;;) {
    auto changed = rx.changed();
    const auto r = co_await as_result(std::move(changed));
    check(r.has_value() || may_be_cancelled, "nobody else is cancelled");
    if (!r) co_return;
    if (!*r) break;
    const int now = *rx.get();
    check(now > last, "it has changed");
    last = now;
  }
  check(last == 2, "the last value is seen");
  check(w.written.read() == 2, "what was written before it is there");
}

actor send_two(watched& w) {
  own_promise own;
  (void)co_await own;
  for (int i = 1; i != 3; ++i) {
    w.written.write(i);
    w.sender->send(i);
  }
  w.sender.reset();
}

void two_watch(scenario& s) {
  const auto w = world::make<watched>(s, 2);
  spawn_to_cancel(*w, see_the_last(*w, true));
  w->spawn(0, see_the_last(*w, false));
  w->spawn(1, send_two(*w));
}

// ---- broadcast

struct news : world {
  using world::world;

  std::shared_ptr<detail::broadcast_state<item>> state =
      std::make_shared<detail::broadcast_state<item>>(1);
  std::optional<weft::broadcast_sender<item>> sender{state};
  std::array<std::optional<weft::broadcast_receiver<item>>, 2> receivers{
      weft::broadcast_receiver<item>(state), weft::broadcast_receiver<item>(state)};
  weft::latch heard{2};  // by all; the end, which wakes everybody, comes later
};

actor tell(news& n) {
  for (int i = 1; i != 3; ++i) {
    const item told(i);
    auto send = n.sender->send(told);
    const auto r = co_await as_result(std::move(send));
    check(r.has_value(), "it is sent");
  }
  auto all = n.heard.wait();
  const auto heard = co_await as_result(std::move(all));
  check(heard.has_value(), "nobody stops it");
  n.sender.reset();
}

actor hear_all(news& n, std::size_t me) {
  for (int i = 1; i != 4; ++i) {
    auto receive = n.receivers[me]->receive();
    const auto r = co_await as_result(std::move(receive));
    check(r.has_value() && r->has_value() == (i != 3), "all is received, and then the end");
    if (i != 3) check((**r).number == i, "in order");
    if (i == 2) n.heard.count_down();
  }
}

// Hears one, or is cancelled, and goes: nobody waits for it any more.
actor hear_one(news& n, std::size_t me) {
  auto receive = n.receivers[me]->receive();
  const auto r = co_await as_result(std::move(receive));
  if (r) check(r->has_value() && (**r).number == 1, "it is the first");
  n.receivers[me].reset();
  n.heard.count_down();
}

void two_hear(scenario& s) {
  const auto n = world::make<news>(s, 3);
  n->spawn(0, tell(*n));
  n->spawn(1, hear_all(*n, 0));
  n->spawn(2, hear_all(*n, 1));
}

void one_goes(scenario& s) {
  const auto n = world::make<news>(s, 2);
  spawn_to_cancel(*n, hear_one(*n, 0));
  n->spawn(1, tell(*n));
  n->spawn(0, hear_all(*n, 1));
}

// ---- condition_variable

struct condition : world {
  using world::world;

  weft::mutex mutex;
  weft::condition_variable changed;
  plain<int> ready{0}, holder{0};  // guarded by the mutex
};

// Who was notified and does not need it notifies the next.
actor wait_until_ready(condition& c, bool may_be_cancelled) {
  auto locking = c.mutex.lock();
  auto locked = co_await as_result(std::move(locking));
  if (!locked) co_return;
  while (c.ready.read() == 0) {
    auto wait = c.changed.wait(*locked);
    const auto r = co_await as_result(std::move(wait));
    c.holder.write(0);  // who has waited holds the mutex again
    check(r.has_value() || may_be_cancelled, "who is not cancelled is notified");
    if (!r) co_return;
  }
  c.changed.notify_one();
}

actor make_ready(condition& c, bool holding) {
  auto locking = c.mutex.lock();
  auto locked = co_await as_result(std::move(locking));
  check(locked.has_value(), "nobody stops it");
  c.ready.write(1);
  if (!holding) locked->unlock();
  c.changed.notify_one();
  if (holding) c.holder.write(1);
}

template <bool Holding>
void one_is_notified(scenario& s) {
  const auto c = world::make<condition>(s, 2);
  c->spawn(0, wait_until_ready(*c, false));
  c->spawn(1, make_ready(*c, Holding));
}

void a_cancel_meets_the_notification(scenario& s) {
  const auto c = world::make<condition>(s, 3);
  spawn_to_cancel(*c, wait_until_ready(*c, true), 2);
  c->spawn(0, wait_until_ready(*c, false));
  c->spawn(1, make_ready(*c, false));
}

// ---- the explorations

const std::vector<exploration>& waits() {
  static const std::vector<exploration> all{
      explored("event/is set", event_is_set, 2),
      explored("event/a signal is given", a_signal_is_given, 2),
      explored("event/a signal meets who waits", a_signal_meets_who_waits, 3),
      explored("latch/is counted down", latch_is_counted_down, 1),
      explored("latch/an arrival is cancelled", an_arrival_is_cancelled, 2),
      explored("oneshot/an answer is sent", an_answer_is_sent, 3),
      explored("oneshot/a cancel meets the answer", a_cancel_meets_the_answer, 2),
      explored("oneshot/no answer comes", no_answer_comes, 3),
      explored("watch/two watch", two_watch, 2),
      explored("broadcast/two hear", two_hear, 1),
      explored("broadcast/one goes", one_goes, 2),
      explored("condition_variable/one is notified", one_is_notified<false>, 3),
      explored("condition_variable/by who holds the mutex", one_is_notified<true>, 3),
      explored("condition_variable/a cancel meets the notification",
               a_cancel_meets_the_notification, 2),
  };
  return all;
}

TEST_SUITE("runtime/waiter_list explored") {
  TEST_CASE("nobody waits for what has happened, and a cancel loses nothing") {
    for (const exploration& e : waits()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of those who wait and of those who tell them that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("event").empty())) {
    for (const char* part :
         {"event", "latch", "oneshot", "watch", "broadcast", "condition_variable"}) {
      const verdict v = drop_each(waits(), part, {});
      CHECK_MESSAGE(v.wrong.empty(), v.text());
      CHECK(v.noticed >= 3);
    }
  }
}

}  // namespace

}  // namespace waiter_list_explore_test

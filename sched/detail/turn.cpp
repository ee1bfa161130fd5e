// SPDX-License-Identifier: MIT
#include "weft/sched/detail/turn.hpp"

#include "weft/io/ring.hpp"

#include <utility>

namespace weft::detail {

void deliver(worker& w, message& m) noexcept {
  w.share_ready();
  w.delivering = true;
  m.deliver(m, w);
  w.finish_resume();  // a posted function may have resumed a coroutine
  w.delivering = false;
  w.holds.give_back();
}

bool deliver_messages(worker& w) noexcept {
  message* m = w.inbox.drain();
  if (m == nullptr) return false;
  while (m != nullptr) {
    message* const next = m->next_message;
    deliver(w, *m);
    m = next;
  }
  return true;
}

void begin_turn(worker& w) noexcept {
  const std::int64_t now = w.home->now();
  w.begin_turn(now, std::exchange(w.worked_through, false));
  if (w.timers.next_deadline() == no_deadline) return;
  for (unsigned i = 0; i < resumes_per_turn; ++i) {
    worker_timer* const due = w.timers.pop_expired(now);
    if (due == nullptr) return;
    due->expire(*due, w);
  }
}

namespace {

suspended* next_woken(worker& w) noexcept {
  if (!w.shared) return w.fifo.take_unshared();
  suspended* const s = w.fifo.take();
  if (w.fifo.untold()) w.home->notify_pushed();
  return s;
}

}  // namespace

unsigned run_ready(worker& w, unsigned most) noexcept {
  unsigned ran = 0;
  // Where the last turn was cut short forks have had theirs.
  unsigned forks = std::exchange(w.forks_first, true) ? 0 : forks_in_a_row;
  while (ran < most) {
    promise_base* p = forks < forks_in_a_row ? w.pop_fork() : nullptr;
    if (p != nullptr) {
      ++forks;
      w.share_ready();
    } else {
      forks = 0;
      suspended* const s = next_woken(w);
      p = s != nullptr ? w.begin(*s) : w.pop_fork();
      if (p == nullptr && s == nullptr) {
        if (w.holds.give_back()) continue;
        break;
      }
    }
    if (p != nullptr) w.resume(*p);
    ++ran;  // what has ended as it began, too
    if (w.ends_turn()) {
      w.forks_first = false;
      break;
    }
  }
  w.holds.give_back();
  w.worked_through = ran == most && !w.turn_is_over;
  return ran;
}

bool look_around(worker& w) noexcept {
  const bool delivered = deliver_messages(w);
  w.collecting = true;
  begin_turn(w);
  w.ring->poll();
  w.collecting = false;
  return delivered;
}

}  // namespace weft::detail

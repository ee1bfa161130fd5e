// SPDX-License-Identifier: MIT
// What each worker of a thread_pool does, as work_or_park() asks for it: look around, run, search
// the others, sleep.

#include "weft/sched/detail/nearest_first.hpp"
#include "weft/sched/detail/pool_parts.hpp"
#include "weft/sched/detail/task_report.hpp"

#include <cstdint>

#include <sched.h>

namespace weft {

namespace {

/// Looks in a row at what others have before a thief takes by force what they hide, or at once what
/// is offered: about 10 us, and where each is a pause before a theft up to 40, and once round the
/// others.
constexpr int patience = 100;

/// A theft costs both sides some hundreds of nanoseconds. What its owner takes back sooner is not
/// worth one.
void pause_before_theft() noexcept {
  for (int i = 0; i != 16; ++i) detail::wait_briefly(0);
}

/// So many pauses more where woken tasks were left: a look takes the cache lines of a queue away
/// from its owner.
constexpr int kept_away = 16;

}  // namespace

detail::message* thread_pool::take_message() noexcept {
  return parts_->inbox.take([this] { notify_pushed(); });
}

bool thread_pool::work_anywhere() const noexcept {
  if (!parts_->inbox.empty()) return true;
  // After a theft, what a worker has forked is shared late, or hidden while it computes.
  if (parts_->thefts.take() && parts_->heavy_fence()) {
    for (const auto& s : parts_->seats) {
      if (!s->worker.forks.hides()) continue;
      parts_->thefts.note();  // for who looks next: it may not be the caller that takes it
      return true;
    }
  }
  for (const auto& s : parts_->seats)
    if (!s->worker.fifo.empty() || s->worker.forks.offers()) return true;
  return false;
}

/// The guests up to this one wait for ever; 0: something can make a task ready. Between two equal
/// answers of all_asleep() no worker ran, so what was seen of one still held when the last was
/// looked at.
std::uint64_t thread_pool::last_deadlocked(const seat& self) noexcept {
  const parts& p = *parts_;
  // A glance first: most sleepers wait for something themselves.
  const std::size_t own = p.hosting.own_operations.load(std::memory_order_relaxed);
  if (self.ring->in_flight() > own) return 0;
  const std::uint64_t last = p.hosting.guests.last_to_tell();
  const std::uint64_t asleep = last != 0 ? idle_.all_asleep() : 0;
  if (asleep == 0) return 0;
  if (detail::calls_outstanding(*p.helpers) || p.hosting.may_be_woken()) return 0;
  std::uint64_t in_flight = 0;
  for (const auto& s : p.seats) {
    in_flight += s->ring->in_flight();
    if (s->worker.timers.next_deadline() != detail::no_deadline || !s->worker.inbox.empty())
      return 0;
  }
  const bool for_ever = in_flight <= p.hosting.own_operations.load(std::memory_order_relaxed) &&
                        !work_anywhere() && idle_.all_asleep() == asleep;
  return for_ever ? last : 0;
}

void thread_pool::seat::note_core() noexcept {
  if (pool.parts_->cores->levels() == 1) return;
  core_.store(sched_getcpu(), std::memory_order_relaxed);  // relaxed: a hint
}

/// How often a thief has left what would not have stayed for long.
struct thread_pool::left_alone {
  int forks = 0;
  int woken = 0;
};

/// What the oldest fork of another worker resumes, else half of its woken tasks. `gone`: leaves
/// what its owner takes soon, and counts it; null: takes whatever is offered.
detail::suspended* thread_pool::steal_shared(seat& thief, left_alone* gone) noexcept {
  return detail::nearest_first<seat>(
      parts_->seats, thief, *parts_->cores, [&](seat& victim) -> detail::suspended* {
        auto& forks = victim.worker.forks;
        detail::forked* const f = gone != nullptr
                                      ? forks.steal_what_stays(pause_before_theft, gone->forks)
                                      : forks.steal();
        if (f != nullptr) return begin(thief, victim, *f);
        // A thief whose own stretches are longer than a theft takes at once, and so does one that
        // was woken to have one look.
        auto& woken = victim.worker.fifo;
        detail::suspended* const s =
            gone != nullptr && thief.wait.looks() && thief.stretches.brief()
                ? thief.worker.fifo.steal_what_stays(woken, pause_before_theft, gone->woken)
                : thief.worker.fifo.steal_from(woken);
        if (s != nullptr) thief.last_victim = victim.worker.index;
        return s;
      });
}

/// The same for what a worker has forked and not shared, since it has computed for long.
detail::suspended* thread_pool::steal_hidden(seat& thief) noexcept {
  const auto fence = [this] { (void)parts_->heavy_fence(); };
  return detail::nearest_first<seat>(
      parts_->seats, thief, *parts_->cores, [&](seat& victim) -> detail::suspended* {
        if (!victim.worker.forks.hides()) return nullptr;
        detail::forked* const f = victim.worker.forks.steal_by_force(fence);
        return f != nullptr ? begin(thief, victim, *f) : nullptr;
      });
}

detail::suspended* thread_pool::steal(seat& thief) noexcept {
  int& looks = thief.looks;
  for (looks = 0; looks < patience;) {
    left_alone gone;
    if (detail::suspended* const s = steal_shared(thief, &gone)) return s;
    if (gone.woken != 0) {
      for (int i = 0; i != kept_away; ++i) pause_before_theft();
      looks += kept_away;
    }
    looks += gone.forks + gone.woken;
    if (gone.forks + gone.woken != 0) continue;
    // Who hides something shares it with the next thing that it forks or takes back.
    if (!somebody_hides(thief)) return nullptr;
    detail::wait_briefly(looks++);
  }
  if (detail::suspended* const s = steal_shared(thief, nullptr)) return s;
  return parts_->forces ? steal_hidden(thief) : nullptr;
}

/// The victim may not know yet that it has to share the next one.
detail::suspended* thread_pool::begin(seat& thief, seat& victim, detail::forked& f) noexcept {
  thief.last_victim = victim.worker.index;
  parts_->thefts.note();
  thief.begun.promise = &detail::begin_forked(f, thief.worker);
  return &thief.begun;
}

bool thread_pool::somebody_hides(const seat& thief) const noexcept {
  for (const auto& s : parts_->seats)
    if (s.get() != &thief && s->worker.forks.hides()) return true;
  return false;
}

bool thread_pool::seat::look() noexcept {
  note_core();
  const bool delivered = detail::look_around(worker);
  sent = pool.take_message();  // last: what a timer has sent just now is for this worker as well
  stretches.look(worker.clock_read_ns, worker.resumes);
  const bool any = sent != nullptr || worker.fifo.has_any() || worker.forks.hides();
  if (any || delivered) wait.found();
  return any;
}

void thread_pool::seat::run_ready() noexcept {
  for (unsigned left = detail::resumes_per_turn; sent != nullptr;) {
    detail::deliver(worker, *sent);
    const bool goes_on = --left != 0 && pool.now() < worker.turn_ends_ns;
    sent = goes_on ? pool.take_message() : nullptr;
  }
  detail::run_ready(worker, detail::resumes_per_turn);
}

/// What completes is queued for all to see, since the worker counts as asleep; but no other sleeper
/// is asked for yet, because it runs the first of it itself.
void thread_pool::seat::sleep() noexcept {
  wait.sleeps();
  worker.collecting = true;
  ring->wait(worker.timers.next_deadline());
  worker.collecting = false;
  wait.slept();
}

void thread_pool::seat::about_to_sleep() noexcept {
  if (const std::uint64_t last = pool.last_deadlocked(*this); last != 0)
    pool.parts_->hosting.guests.tell_deadlock(detail::deadlock_text(pool), last);
}

}  // namespace weft

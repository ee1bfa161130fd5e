// SPDX-License-Identifier: MIT
#include "world.hpp"

#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

// An assertion of the library that does not hold is what an exploration is after.
namespace weft::detail {

void assertion_failed(const char* condition, const char* message, const char* file,
                      int line) noexcept {
  explore::fail("assertion: " + std::string(file) + ":" + std::to_string(line) + ": " + condition +
                ": " + message);
}

void fatal(std::string_view message, std::source_location) noexcept {
  explore::fail("fatal: " + std::string(message));
}

}  // namespace weft::detail

namespace weft::explore {

void actor::promise_type::end() noexcept {
  world& w = *home;
  line->leave();
  if (!kept) {
    w.ends(&*line, sizeof *line);
    line.reset();
  }
  base->release();
}

world::world(unsigned workers)
    : scheduler(true, workers), frames_before_(detail::live_frame_bytes()) {
  for (unsigned i = 0; i != workers; ++i) {
    workers_.push_back(std::make_unique<worker_thread>());
    workers_.back()->record = std::make_unique<detail::worker>(*this, i);
  }
  root_.emplace(*this);
}

world::~world() {
  for (const std::coroutine_handle<> frame : frames_) frame.destroy();
  std::int64_t left = detail::live_frame_bytes() - frames_before_;
  for (const auto& w : workers_) left += w->record->frames.live_bytes();
  check(left == 0, "all tasks have been destroyed");
}

world::root_scope::root_scope(world& w)
    : cancel_scope(w,
                   [](cancel_scope& s) noexcept {
                     world& owner = *static_cast<root_scope&>(s).home;
                     check(owner.root_.has_value(), "a scope is empty once");
                     owner.ends(&s, sizeof(root_scope));
                     owner.root_.reset();
                   }),
      home(&w) {}

void world::add_threads(scenario& s, const std::shared_ptr<world>& self) {
  bound_.resize(max_threads);
  for (unsigned i = 0; i != workers_.size(); ++i) {
    const unsigned number = s.thread([self, i] {
      if (i == 0) self->root_->release();  // the opener's hold: all has been spawned
      self->work(i);
    });
    bound_[number] = workers_[i]->record.get();
  }
  s.on_switch([this](unsigned thread) {
    binding_.reset();
    if (detail::worker* const bound = bound_[thread]) binding_.emplace(*bound);
  });
}

void world::spawn(unsigned on, detail::cancel_scope& base, actor a) {
  actor::promise_type& p = *a.promise;
  check(base.try_hold(), "who spawns holds the scope");
  frames_.push_back(p.handle());
  p.home = this;
  p.base = &base;
  p.line.emplace();
  p.line->enter(base, nullptr);
  p.line->settle();  // it may be stopped alone from outside
  p.strand_ = &*p.line;
  worker(on).fifo.push(p.node);
}

void world::outsider(scenario& s, std::function<void()> body) {
  check(root_->try_hold(), "the set-up holds the root");
  s.thread([this, body = std::move(body)] {
    body();
    root_->release();
  });
}

void world::post(inbox& to, detail::message& m) {
  check(std::find(on_their_way_.begin(), on_their_way_.end(), &m) == on_their_way_.end(),
        "a message is sent again when it has been delivered");
  on_their_way_.push_back(&m);
  to.lock.lock();
  to.messages.push_back(&m);
  to.lock.unlock();
}

detail::message* world::take(inbox& from) {
  if (from.messages.empty()) return nullptr;
  from.lock.lock();
  detail::message* m = nullptr;
  if (!from.messages.empty()) {
    m = from.messages.front();
    from.messages.pop_front();
    std::erase(on_their_way_, m);
  }
  from.lock.unlock();
  return m;
}

void world::send(detail::message& m) noexcept { post(shared_inbox_, m); }

void world::send_to(detail::worker& w, detail::message& m) noexcept {
  post(workers_[w.index]->own, m);
}

void world::ends(const void* record, std::size_t bytes) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(record);
  for (const detail::message* const m : on_their_way_) {
    const auto at = reinterpret_cast<std::uintptr_t>(m);
    check(at < begin || at >= begin + bytes, "nothing ends while a message to it is on its way");
  }
}

// Timers that are due since the time has come.
bool world::expire(worker_thread& own) {
  const std::int64_t now = now_;
  if (std::exchange(own.looked_at_timers_ns, now) == now) return false;
  while (detail::worker_timer* const due = own.record->timers.pop_expired(now)) {
    due->expire(*due, *own.record);
  }
  return true;
}

detail::promise_base* world::next(unsigned me) {
  detail::worker& w = *workers_[me]->record;
  do {
    while (detail::suspended* const s = w.fifo.take())
      if (detail::promise_base* const p = w.begin(*s)) return p;
  } while (w.holds.give_back());
  if (detail::promise_base* const p = w.pop_fork()) return p;
  for (unsigned i = 0; steals_ && i != workers_.size(); ++i) {
    detail::worker& victim = *workers_[i]->record;
    if (i == me) continue;
    if (victim.forks.hides())
      if (detail::forked* const f = victim.forks.steal()) return &detail::begin_forked(*f, w);
    if (detail::suspended* const s = w.fifo.steal_from(victim.fifo)) {
      detail::promise_base* const p = w.begin(*s);
      return p != nullptr ? p : next(me);  // there may be more of it, and spare holds
    }
  }
  return nullptr;
}

bool world::others_have_work(unsigned me) const {
  return steals_ && std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
           return other != workers_[me] &&
                  (other->record->forks.hides() || !other->record->fifo.empty());
         });
}

void world::resume(detail::worker& w, detail::promise_base& p) {
  const void* const frame = p.handle().address();
  if (std::any_of(frames_.begin(), frames_.end(),
                  [&](std::coroutine_handle<> h) { return h.address() == frame; })) {
    auto& a = static_cast<actor::promise_type&>(p);
    check(a.suspended.read(), "a task is resumed once");
    a.suspended.write(false);
  }
  w.resume(p);
}

void world::work(unsigned me) {
  worker_thread& own = *workers_[me];
  detail::worker& w = *own.record;
  const std::function<bool()> awake = [&] {
    return ended() || !own.own.messages.empty() || !shared_inbox_.messages.empty() ||
           w.fifo.has_any() || w.forks.hides() || own.looked_at_timers_ns != now_ ||
           others_have_work(me);
  };
  while (!ended()) {
    detail::message* m = take(own.own);
    if (m == nullptr) m = take(shared_inbox_);
    if (m != nullptr) {
      m->deliver(*m, w);
      continue;
    }
    if (expire(own)) continue;
    if (detail::promise_base* const p = next(me)) {
      resume(w, *p);
    } else {
      wait_until(awake);
    }
  }
}

}  // namespace weft::explore

// SPDX-License-Identifier: MIT
#include "weft/runtime/group_state.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/worker.hpp"

#include <mutex>

namespace weft::detail {

void group_state::failed(const std::exception_ptr& e) noexcept {
  if (stop_is_under_way() && is_cancelled(e)) {
    cut_off_.store(true, std::memory_order_relaxed);  // relaxed: read after the join
    return;
  }
  {
    const std::lock_guard guard(lock_);
    if (first_ == nullptr) {
      first_ = e;
    } else if (others_ != nullptr) {
      if (others_->count_ < group_failures::kept_max) others_->exceptions_[others_->count_] = e;
      ++others_->count_;
    }
  }
  if (fail_fast_) request_stop();
}

bool group_state::try_run(suspended& child) noexcept {
  if (running_max_ == 0) return true;
  const std::lock_guard guard(lock_);
  if (running_ < running_max_) {
    ++running_;
    return true;
  }
  child.next = nullptr;
  if (newest_pending_ != nullptr)
    newest_pending_->next = &child;
  else
    oldest_pending_ = &child;
  newest_pending_ = &child;
  return false;
}

void group_state::one_has_ended() noexcept {
  if (running_max_ == 0) return;
  suspended* next = nullptr;
  {
    const std::lock_guard guard(lock_);
    next = oldest_pending_;
    if (next == nullptr) {
      --running_;
    } else {
      oldest_pending_ = next->next;
      if (oldest_pending_ == nullptr) newest_pending_ = nullptr;
    }
  }
  if (next != nullptr) static_cast<child_base*>(next)->launch();
}

std::shared_ptr<group_link> group_state::link() {
  {
    const std::lock_guard guard(lock_);
    if (link_ != nullptr) return link_;
  }
  auto made = std::make_shared<group_link>(*this);
  const std::lock_guard guard(lock_);
  if (link_ == nullptr) link_ = std::move(made);
  return link_;
}

void group_state::unlink() noexcept {
  if (link_ != nullptr) link_->forget();
}

void group_link::request_stop() noexcept {
  // Under the lock: the group's end waits for it, so nothing is held that its tasks wait for.
  const std::lock_guard guard(lock_);
  if (group_ != nullptr) group_->request_stop();
}

bool spare_holds::take(group_state& group) noexcept {
  if (group_ != &group) {
    give_back();
    group_ = &group;
    return group.hold();  // one child more need not be many
  }
  if (count_ == 0) {
    if (!group.hold(at_a_time)) return false;
    count_ = at_a_time;
  }
  --count_;
  return true;
}

void spare_holds::give(group_state& group) noexcept {
  if (group_ != &group) {
    give_back();
    group_ = &group;
  }
  if (++count_ < 2 * at_a_time) return;
  count_ -= at_a_time;
  group.release(at_a_time);
}

void spare_holds::give_back_now() noexcept {
  group_state& group = *std::exchange(group_, nullptr);
  group.release(std::exchange(count_, 0U));
}

void child_base::start(group_state& group) noexcept {
  worker* const w = current_worker();
  WEFT_ASSERT(w != nullptr && w->home == &group.home() ? w->holds.take(group) : group.hold(),
              "spawn on a task group that has ended: spawn from its body or its children");
  group_ = &group;
  enter(group, group.opener());
  set_spawned();
  settle();
  if (group.try_run(*this)) launch();
}

void child_base::launch() noexcept {
  scheduler& there = settled_home();
  worker* const w = current_worker();
  if (w != nullptr && w->home == &there) {
    w->ready(*this);
    return;
  }
  start_message& start = *this;
  start.deliver = [](message& m, worker& here) noexcept {
    here.ready(static_cast<child_base&>(static_cast<start_message&>(m)));
  };
  there.send(start);
}

promise_base* child_base::begin(worker& w) noexcept {
  if (w.observed) [[unlikely]]
    w.note_function("the function of a spawned task");
  promise_base* const body = kind_->begin(*this);
  promise = body;
  if (body != nullptr) {
    body->strand_ = this;
    set_name(body->line);
  } else {
    end(w);  // the function threw
  }
  if (w.observed) [[unlikely]]
    w.note_end();
  return body;
}

void child_base::request_stop() noexcept {
  if (done() || !try_stop_alone()) return;
  scheduler& there = settled_home();
  worker* const w = current_worker();
  if (w != nullptr && w->home == &there) {
    visit(nullptr, *w);
    return;
  }
  // The group waits for the message, as it does for whatever else keeps a child's outcome.
  const scheduler::outside_call call(there);
  if (!group_->try_hold()) return;  // all its children have ended
  add_owner();
  stop_message& stop = *this;
  stop.deliver = [](message& m, worker& here) noexcept {
    auto& self = static_cast<child_base&>(static_cast<stop_message&>(m));
    group_state& group = *self.group_;
    self.visit(nullptr, here);
    self.drop_owner();
    group.release();
  };
  there.send(stop);
}

void child_base::end(worker& w) noexcept {
  w.holds.keep_only(group_);  // who is resumed by what dies here may go on for long
  const bool wanted = owners_.load(std::memory_order_acquire) != 1;  // sync: C2
  const std::exception_ptr* const failure = kind_->end(*this, wanted);
  leave();
  group_state& group = *group_;
  const bool absorbed = failure != nullptr && stopped_alone() && is_cancelled(*failure);
  if (failure != nullptr && !absorbed) group.failed(*failure);
  group.one_has_ended();
  if (!wanted) {
    kind_->destroy(*this);
  } else {
    waiter* const awaits = waiter_.exchange(ended(), std::memory_order_acq_rel);  // sync: C1
    if (awaits != nullptr) awaits->complete();
    drop_owner();
  }
  w.holds.give(group);
}

waiter* child_base::ended() noexcept {
  alignas(waiter) static constinit std::byte mark[sizeof(waiter)] = {};
  return reinterpret_cast<waiter*>(mark);
}

}  // namespace weft::detail

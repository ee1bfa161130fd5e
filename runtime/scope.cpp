// SPDX-License-Identifier: MIT
#include "weft/runtime/scope.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/worker.hpp"

#include <cstdio>
#include <source_location>

namespace weft::detail {

cancel_scope::cancel_scope(scheduler& home, empty_fn on_empty) noexcept
    : home_(&home), on_empty_(on_empty), shared_(home.shared()) {
  deliver = &cancel_scope::deliver_walk;
}

cancel_scope::~cancel_scope() {
  if (holds_.load(std::memory_order_relaxed) != 0) left_unjoined();  // relaxed: joined before
}

void cancel_scope::left_unjoined() noexcept {
  constexpr const char* what =
      "a scope, such as a task group, was destroyed before its children had ended: join it first";
  strand_list& left = strands_.empty() ? visited_ : strands_;
  if (left.empty()) fatal(what);
  const std::source_location name = left.front().name();
  char text[1024];
  std::snprintf(text, sizeof text, "%s: still runs: %s", name.function_name(), what);
  fatal(text, name);
}

bool cancel_scope::stop_is_under_way() const noexcept {
  for (const cancel_scope* s = this; s != nullptr; s = s->outer_) {
    if (s->stop_requested()) return true;
    if (s->shield_) return false;
    if (s->opener_ != nullptr && s->opener_->stopped_alone()) return true;
  }
  return false;
}

void cancel_scope::request_stop(stop_cause why) noexcept {
  stop_cause none = stop_cause::none;
  if (!cause_.compare_exchange_strong(none, why, std::memory_order_release,  // sync: S1
                                      std::memory_order_relaxed))
    return;
  worker* const w = current_worker();
  if (w != nullptr && w->home == home_) {
    if (try_hold()) send_walk(*w);  // else it is empty: its opener is about to close it
    return;
  }
  const scheduler::outside_call call(*home_);
  if (try_hold()) home_->send(*this);
}

void cancel_scope::send_walk(worker& w) noexcept {
  if (!shared_)
    w.inbox.push(*this);
  else  // on a pool to whoever comes first: this worker may go on computing for long
    home_->send(*this);
}

bool cancel_scope::try_hold() noexcept {
  std::uint64_t n = holds_.load(std::memory_order_relaxed);  // relaxed: only a guess for the CAS
  while (n != 0) {
    if (holds_.compare_exchange_weak(
            n, n + 1,
            std::memory_order_acq_rel,  // sync: O3 of sched/detail/outside_work.hpp
            std::memory_order_relaxed))
      return true;
  }
  return false;
}

void cancel_scope::release(std::uint64_t count) noexcept {
  const empty_fn on_empty = on_empty_;
  if (holds_.fetch_sub(count, std::memory_order_acq_rel) == count) on_empty(*this);  // sync: S2
}

void cancel_scope::link(strand& s) noexcept {
  const lock_if_shared guard(lock_, shared_);
  strands_.push_back(s);
}

void cancel_scope::unlink(strand& s) noexcept {
  const lock_if_shared guard(lock_, shared_);
  strand_list::remove(s);
}

void cancel_scope::walk(worker& w) noexcept {
  if (!opener_visited_) {
    opener_visited_ = true;
    if (opener_ != nullptr) opener_->visit(this, w);
  }
  bool more = false;
  {
    const lock_if_shared guard(lock_, shared_);
    for (int i = 0; i < slice_max && !strands_.empty(); ++i) {
      strands_.fetch_ahead();
      strand& s = strands_.front();
      strand_list::remove(s);
      visited_.push_back(s);
      s.visit(nullptr, w);
    }
    more = !strands_.empty();
  }
  if (!more)
    release();
  else
    send_walk(w);
}

void cancel_scope::deliver_walk(message& m, worker& w) noexcept {
  static_cast<cancel_scope&>(m).walk(w);
}

}  // namespace weft::detail

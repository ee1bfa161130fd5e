// SPDX-License-Identifier: MIT
#include "weft/runtime/strand.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/scope.hpp"
#include "weft/runtime/stop_token.hpp"
#include "weft/runtime/worker.hpp"

#include <algorithm>
#include <memory>

namespace weft::detail {

void strand::settle_now() noexcept {
  at_end_ |= settled;
  cancel_scope& base = *scope_;
  deliver = &strand::deliver_cancel;
  home_ = &base.home();
  base_ = &base;
  waiting_ = nullptr;
  stop_records_ = nullptr;
  std::construct_at(&name_);
  linked_ns_ = 0;
  trace_id_ = 0;
  refusals_ = 0;
  shared_ = base.shared();
}

void strand::leave_settled() noexcept {
  WEFT_ASSERT(scope_ == base_, "a strand ended inside a scope that it had opened");
  if (linked_) {
    if (has_stop_token_) [[unlikely]]
      forget_stop_records(*base_);
    base_->unlink(*this);
    linked_ = false;
  }
}

void strand::lock() noexcept {
  if (shared_) lock_.lock();
}

void strand::unlock() noexcept {
  if (shared_) lock_.unlock();
}

bool strand::stop_is_under_way() const noexcept {
  return scope_->stop_is_under_way() || (stopped_alone() && scope_ == base_);
}

void strand::link_once() noexcept {
  if (linked_) return;
  settle();
  linked_ns_ = home_->now();
  base_->link(*this);
  linked_ = true;
}

bool strand::begin_wait(operation& op) noexcept {
  link_once();
  lock();
  if (stop_requested()) {
    unlock();
    stop_token_query::tell(*this);
    return false;
  }
  waiting_ = &op;
  return true;
}

void strand::begin_join(operation& op) noexcept {
  settle();
  lock();
  waiting_ = &op;
}

void strand::complete(operation& op, worker& w) noexcept {
  lock();
  WEFT_ASSERT(waiting_ == &op, "an operation completed twice, or a strand resumed while it waits");
  if (cancel_posted_) {
    completed_ = true;
    unlock();
    return;
  }
  waiting_ = nullptr;
  unlock();
  w.ready(op);
}

void strand::visit(const cancel_scope* limit, worker& w) noexcept {
  lock();
  cancel_scope* reached = scope_;  // the innermost scope that no shield keeps the stop from
  for (cancel_scope* s = scope_; s != base_ && s != limit; s = s->outer())
    if (s->shield_) reached = s->outer();
  for (cancel_scope* s = reached; s != base_ && s != limit; s = s->outer()) s->request_stop();
  if (stop_records_ != nullptr) [[unlikely]]
    send_stop_records(w);
  operation* const op = reached == scope_ ? waiting_ : nullptr;
  if (op == nullptr || cancel_posted_) {
    unlock();
  } else if (op->owner == nullptr || op->owner == &w) {
    const bool withdrawn = op->withdraw(w);
    if (withdrawn) waiting_ = nullptr;
    unlock();
    if (withdrawn) w.ready(*op);
  } else {
    cancel_posted_ = true;
    worker& owner = *op->owner;
    unlock();
    owner.post(*this);
  }
}

void strand::deliver_cancel(message& m, worker& w) noexcept {
  strand& self = static_cast<strand&>(m);
  self.lock();
  operation* const op = self.waiting_;
  self.cancel_posted_ = false;
  bool resume = self.completed_;
  self.completed_ = false;
  if (!resume) resume = op->withdraw(w);
  if (resume) self.waiting_ = nullptr;
  self.unlock();
  if (resume) w.ready(*op);
}

void strand::open(cancel_scope& s) noexcept {
  link_once();
  lock();
  s.outer_ = scope_;
  s.opener_ = this;
  if (!s.shield_) {
    if (stop_requested()) s.set_stopped(stop_cause::request);
    s.deadline_ns_ = std::min(s.deadline_ns_, scope_->deadline_ns_);
  }
  scope_ = &s;
  unlock();
}

void strand::close(cancel_scope& s) noexcept {
  lock();
  WEFT_ASSERT(scope_ == &s, "scopes close in the reverse order of opening");
  scope_ = s.outer_;
  unlock();
  if (has_stop_token_) [[unlikely]]
    forget_stop_records(s);
  if (!stop_requested()) refusals_ = 0;
}

}  // namespace weft::detail

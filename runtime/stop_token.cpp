// SPDX-License-Identifier: MIT
#include "weft/runtime/stop_token.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/worker.hpp"

#include <memory>

namespace weft::detail {

std::stop_token stop_token_query::token_of(strand& line) {
  if (line.has_stop_token_) {
    line.lock();  // others take records away
    const stop_record* known = line.stop_records_;
    while (known != nullptr && known->scope != line.scope_) known = known->next;
    std::stop_token token = known != nullptr ? known->source.get_token() : std::stop_token();
    line.unlock();
    if (known != nullptr) return token;
  }
  auto made = std::make_unique<stop_record>();
  made->scope = &line.scope();
  made->deliver = &stop_token_query::deliver;
  std::stop_token token = made->source.get_token();
  if (line.keep(*made))
    (void)made.release();
  else
    made->source.request_stop();
  return token;
}

stop_record* stop_token_query::take_stopped(strand& line) noexcept {
  stop_record* taken = nullptr;
  plain<stop_record*>* at = &line.stop_records_;
  while (stop_record* const r = *at) {
    if (!r->scope->stop_requested() && (r->scope != line.base_ || !line.stopped_alone())) {
      at = &r->next;
      continue;
    }
    *at = r->next;
    r->next = taken;
    taken = r;
  }
  return taken;
}

void stop_token_query::stop_all(stop_record* next) noexcept {
  while (next != nullptr) {
    const std::unique_ptr<stop_record> last(next);
    next = last->next;
    last->source.request_stop();
  }
}

void stop_token_query::deliver(message& m, worker& w) noexcept {
  auto& first = static_cast<stop_record&>(m);
  cancel_scope& held = *first.held;
  strand* const waits = first.waits;
  if (w.observed) w.note_function("a std::stop_callback");
  stop_all(&first);
  if (w.observed) w.note_end();
  if (waits != nullptr) {
    waits->lock();
    worker* const owner = static_cast<operation*>(waits->waiting_)->owner;
    waits->unlock();
    if (owner == nullptr || owner == &w)
      strand::deliver_cancel(*waits, w);
    else
      owner->post(*waits);
  }
  held.release();
}

void stop_token_query::tell(strand& line) noexcept {
  if (!line.has_stop_token_) return;
  line.lock();
  stop_record* const stopped = take_stopped(line);
  line.unlock();
  stop_all(stopped);
}

bool strand::keep(stop_record& r) noexcept {
  link_once();
  has_stop_token_ = true;
  lock();
  const bool kept = !stop_requested();
  if (kept) {
    r.next = stop_records_;
    stop_records_ = &r;
  }
  unlock();
  return kept;
}

void strand::send_stop_records(worker& w) noexcept {
  stop_record* const sent = stop_token_query::take_stopped(*this);
  if (sent == nullptr) return;
  const bool held = base_->try_hold();
  WEFT_ASSERT(held, "a scope ended before a strand in it");
  sent->held = base_;
  if (waiting_ != nullptr && !cancel_posted_ && stop_requested()) {
    cancel_posted_ = true;  // by way of the record
    sent->waits = this;
  }
  if (shared_)
    home_->send(*sent);  // to whoever comes first: this worker may go on computing for long
  else
    w.post(*sent);
}

void strand::forget_stop_records(const cancel_scope& s) noexcept {
  stop_record* forgotten = nullptr;
  lock();
  // A stop may have reached this strand, by an await that was refused, before its visit has.
  send_stop_records(*current_worker());
  plain<stop_record*>* at = &stop_records_;
  while (stop_record* const r = *at) {
    if (r->scope != &s) {
      at = &r->next;
      continue;
    }
    *at = r->next;
    r->next = forgotten;
    forgotten = r;
  }
  unlock();
  while (forgotten != nullptr) {
    const std::unique_ptr<stop_record> last(forgotten);
    forgotten = last->next;
  }
}

}  // namespace weft::detail

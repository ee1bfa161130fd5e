// SPDX-License-Identifier: MIT
#include "weft/runtime/stop_token.hpp"

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
  made->deliver = [](message& m, worker& w) noexcept {
    std::unique_ptr<stop_record> self(&static_cast<stop_record&>(m));
    cancel_scope& held = *self->held;
    if (w.observed) w.note_function("a std::stop_callback");
    self->source.request_stop();
    if (w.observed) w.note_end();
    self.reset();
    held.release();
  };
  std::stop_token token = made->source.get_token();
  if (line.keep(*made))
    (void)made.release();
  else
    made->source.request_stop();
  return token;
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
  plain<stop_record*>* at = &stop_records_;
  while (stop_record* const r = *at) {
    const bool stopped = r->scope->stop_requested() || (r->scope == base_ && stopped_alone());
    // The strand has not ended, so its scope has not either.
    if (!stopped || !base_->try_hold()) {
      at = &r->next;
      continue;
    }
    *at = r->next;
    r->held = base_;
    if (shared_)
      home_->send(*r);  // to whoever comes first: this worker may go on computing for long
    else
      w.post(*r);
  }
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

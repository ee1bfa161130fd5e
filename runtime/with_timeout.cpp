// SPDX-License-Identifier: MIT
#include "weft/runtime/with_timeout.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/worker.hpp"

#include <algorithm>

namespace weft::detail {

deadline_scope::deadline_scope(strand& line, time_limit limit) noexcept
    : joinable_scope(line.home()) {
  const std::int64_t now = line.home().now();
  const std::int64_t own = limit.relative ? deadline_after(now, std::chrono::nanoseconds(limit.ns))
                                          : std::max<std::int64_t>(limit.ns, 0);
  set_deadline(own);
  if (limit.shield) set_shield();
  if (own <= now) set_stopped(stop_cause::deadline);
  line.open(*this);
  // An earlier deadline around it is armed already, a stopped scope needs none.
  if (own == no_deadline || deadline() < own || stop_requested()) return;
  worker& w = *current_worker();
  const bool held = try_hold();
  WEFT_ASSERT(held, "a scope that was just opened has ended");
  deadline_ns = own;
  expire = [](worker_timer& t, worker&) noexcept {
    auto& self = static_cast<deadline_scope&>(t);
    self.request_stop(stop_cause::deadline);
    self.release();
  };
  timers_ = &w.timers;
  timers_->insert(*this);
}

void deadline_scope::disarm() noexcept {
  if (timers_ != nullptr && timers_->remove(*this)) release();
}

void throw_timed_out(const std::exception_ptr& e, const time_limit& limit) {
  try {
    std::rethrow_exception(e);
  } catch (const cancelled& c) {
    throw timeout_error(limit.shield ? "shield" : "with_timeout", c.transferred());
  }
}

}  // namespace weft::detail

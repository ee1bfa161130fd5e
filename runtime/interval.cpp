// SPDX-License-Identifier: MIT
#include "weft/runtime/interval.hpp"

namespace weft::detail {

bool interval_tick::try_now(worker& w) noexcept {
  interval& i = *interval_;
  const std::int64_t now = w.home->now();
  if (!i.started_) {
    i.started_ = true;
    i.start_ns_ = now;
  }
  number_ = i.latest(now);
  return number_ > i.last_;
}

bool interval_tick::start(worker& w) noexcept {
  const interval& i = *interval_;
  number_ = i.last_ + 1;
  std::int64_t due = 0;
  const bool beyond = __builtin_mul_overflow(number_, i.period_ns_, &due) ||
                      __builtin_add_overflow(i.start_ns_, due, &due);
  deadline_ns = beyond ? no_deadline : due;
  timers_ = &w.timers;
  expire = [](worker_timer& t, worker& here) noexcept {
    auto& self = static_cast<interval_tick&>(t);
    // What else has become due meanwhile is skipped.
    self.number_ = self.interval_->latest(here.home->now());
    strand_of(*self.promise).complete(self, here);
  };
  w.timers.insert(*this);
  return true;
}

bool interval_tick::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<interval_tick&>(op);
  self.withdrawn_ = self.timers_->remove(self);
  return self.withdrawn_;
}

result<std::uint64_t> interval_tick::finish() noexcept {
  if (withdrawn_) return failure{cancelled_code()};
  interval_->last_ = number_;
  return number_;
}

}  // namespace weft::detail

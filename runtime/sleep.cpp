// SPDX-License-Identifier: MIT
#include "weft/runtime/sleep.hpp"

#include <algorithm>

namespace weft::detail {

bool sleep_operation::start(worker& w) noexcept {
  timers_ = &w.timers;
  deadline_ns = relative_ ? deadline_after(w.home->now(), std::chrono::nanoseconds(ns_))
                          : std::max<std::int64_t>(ns_, 0);  // what is left of it must not overflow
  expire = [](worker_timer& t, worker& here) noexcept {
    auto& self = static_cast<sleep_operation&>(t);
    strand_of(*self.promise).complete(self, here);
  };
  w.timers.insert(*this);
  return true;
}

bool sleep_operation::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<sleep_operation&>(op);
  self.withdrawn_ = self.timers_->remove(self);
  return self.withdrawn_;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// Who lives on a scheduler and who may still wake them: what both schedulers ask before they call a
// silence a deadlock.

#include "weft/sched/detail/guest_list.hpp"
#include "weft/sched/detail/outside_work.hpp"

#include <atomic>
#include <cstddef>
#include <memory>

namespace weft::detail {

struct hosting {
  explicit hosting(scheduler& home) : outside(std::make_shared<outside_work>(home)) {}
  ~hosting() { outside->forget_home(); }
  hosting(const hosting&) = delete;
  hosting& operator=(const hosting&) = delete;

  /// Whether somebody who is none of this scheduler's workers may wake one of its tasks. Ask before
  /// looking at the mailboxes: what was sent by who is gone by now lies there.
  bool may_be_woken() const noexcept { return !outside->none() || !guests.all_are_here(); }

  guest_list guests;
  const std::shared_ptr<outside_work> outside;
  std::atomic<std::size_t> own_operations{0};  // in flight, but on no task's behalf
};

}  // namespace weft::detail

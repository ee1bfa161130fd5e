// SPDX-License-Identifier: MIT
#pragma once
// work_guard: says that something outside of a scheduler will wake one of its tasks: a plain thread
// that sets an event or sends to a channel, a callback of another library. Without it a run whose
// tasks all wait is a deadlock, and says so.

#include "weft/runtime/scheduler.hpp"

#include <memory>

namespace weft {

namespace detail {
class outside_work;
}

/// Keeps a scheduler waiting while it lives, as in
/// `std::thread([guard = weft::work_guard(), &done] { compute(); done.set(); })`.
///
/// Thread:   made in a task, or from a scheduler on any thread; copied, moved and destroyed on any,
///           after what it was held for has been done.
/// Lifetime: may outlive the scheduler.
/// Cost:     two atomic operations.
class work_guard {
public:
  /// For the scheduler that runs the calling task.
  ///
  /// Errors: operation_not_permitted on a thread that runs no task.
  work_guard();
  explicit work_guard(scheduler& s) noexcept;
  work_guard(const work_guard& other) noexcept;
  work_guard(work_guard&& other) noexcept;
  work_guard& operator=(work_guard other) noexcept;
  ~work_guard();

private:
  std::shared_ptr<detail::outside_work> work_;
};

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// yield: lets every other ready task of this worker run first.

#include "weft/runtime/operation.hpp"

namespace weft {

namespace detail {

class yield_operation : public awaitable_operation<yield_operation, void> {
public:
  static constexpr const char* name = "yield";

  // Queued at once: neither a wait that a stop could withdraw, nor a ready await.
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise>) noexcept {
    static_assert(awaits_operations<Promise>);
    current_worker()->give_way(*this);
    return true;
  }

  bool try_now(worker&) noexcept { return false; }
  result<void> finish() noexcept { return {}; }
  static bool withdraw(operation&, worker&) noexcept { return false; }
};

}  // namespace detail

/// Goes to the end of the queue of ready tasks.
///
/// Errors: cancelled, without having waited.
/// Cost:   one push and one pop; on a pool the task may go on on another worker.
[[nodiscard]] inline detail::yield_operation yield() noexcept { return {}; }

}  // namespace weft

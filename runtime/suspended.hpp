// SPDX-License-Identifier: MIT
#pragma once
// What a ready queue holds: a coroutine that is suspended and may be resumed, as an intrusive node.
// The node lies in the awaiter (or in the record of a child), that is in the frame of the coroutine
// itself: making a task ready never allocates. It must not know who resumes it.

namespace weft::detail {

class promise_base;

/// Leaves what only a wait needs unset until there is one: most awaits are ready, and each store
/// saved is time saved before the next atomic operation.
struct before_waiting {};

struct suspended {
  suspended() noexcept : next(nullptr) {}
  explicit suspended(before_waiting) noexcept {}

  suspended* next;                  // set by whoever queues it
  promise_base* promise = nullptr;  // the coroutine to resume
};

}  // namespace weft::detail

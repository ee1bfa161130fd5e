// SPDX-License-Identifier: MIT
#pragma once
// What a worker's queues hold. A coroutine that is suspended and may be resumed, as an intrusive
// node, which lies in the awaiter (or in the record of a child), that is in the frame of the
// coroutine itself: making a task ready never allocates. And what was forked: children that have
// not been started, as one thing that a thief may take. Neither knows who resumes it.

namespace weft::detail {

class promise_base;
struct worker;

/// Leaves what only a wait needs unset until there is one: most awaits are ready, and each store
/// saved is time saved before the next atomic operation.
struct before_waiting {};

struct suspended {
  suspended() noexcept : next(nullptr), promise(nullptr) {}
  explicit suspended(before_waiting) noexcept {}

  suspended* next;        // set by whoever queues it
  promise_base* promise;  // the coroutine to resume
};

struct forked {};

/// The next coroutine to be resumed, after what is left was forked again. Thread: whoever took it
/// from a queue of forks, as `w`.
promise_base& begin_forked(forked& taken, worker& w) noexcept;

}  // namespace weft::detail

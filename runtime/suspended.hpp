// SPDX-License-Identifier: MIT
#pragma once
// What a ready queue holds: a coroutine that is suspended and may be resumed, as an intrusive node.
// The node lies in the awaiter (or in the record of a child), that is in the frame of the coroutine
// itself: making a task ready never allocates. It must not know who resumes it.

namespace weft::detail {

class promise_base;

struct suspended {
  suspended* next = nullptr;
  promise_base* promise = nullptr;  // the coroutine to resume
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A task_tree as text for people.

#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/task_tree.hpp"

#include <cstdint>
#include <string>

namespace weft::detail {

/// One line a frame, indented below whoever awaits it. Errors: bad_alloc.
std::string tree_text(const task_tree& tree, std::int64_t now_ns);

/// The tasks of a scheduler. Thread: of an event loop its own, of a pool any. Errors: bad_alloc.
std::string tasks_text(scheduler& s);

/// What run throws. Thread: as tasks_text(). Never fails: without memory it is shorter.
std::string deadlock_text(scheduler& s) noexcept;

}  // namespace weft::detail

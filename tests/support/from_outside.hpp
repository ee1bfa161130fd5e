// SPDX-License-Identifier: MIT
#pragma once
// For tasks that plain threads or other schedulers wake.

#include "weft/runtime/task.hpp"
#include "weft/sched/work_guard.hpp"

#include <type_traits>
#include <utility>

namespace weft::tests {

/// Awaits `t`, which something outside of its scheduler will wake.
template <class T>
task<T> from_outside(task<T> t) {
  const work_guard guard;
  if constexpr (std::is_void_v<T>) {
    co_await std::move(t);
  } else {
    T value = co_await std::move(t);
    co_return static_cast<T&&>(value);
  }
}

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once

// What the parts of the library are written with that threads share, so that a test can drive the
// very same code with atomics that explore interleavings and stale reads (tests/support/explore).
// There are two ways in:
//   - A lock-free part is a template on a policy like std_atomics. Code of the library itself never
//     names another policy.
//   - Locks, strands, scopes and what tasks wait for in each other say `atomic`, `plain` and
//     `wait_briefly`. A test builds them a second time, with another header in the place of this.

#include <atomic>
#include <cstddef>

namespace weft::detail {

// What two writers keep apart so that they do not take each other's cache line. Not
// std::hardware_destructive_interference_size: that varies with compiler flags, and it would
// be part of a layout.
inline constexpr std::size_t cache_line_size = 64;

struct std_atomics {
  template <class U>
  using atomic = std::atomic<U>;
  /// Keeps the order of a store and a load behind it against those who pass a heavy fence, one that
  /// the system has every thread of the process pass.
  static void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
};

template <class U>
using atomic = std::atomic<U>;

/// A variable that several threads use one after the other: a lock or a hand-over orders them.
template <class U>
using plain = U;

/// Between two looks at an atomic that another thread is about to change; `looks` of them so far.
void wait_briefly(int looks) noexcept;

}  // namespace weft::detail

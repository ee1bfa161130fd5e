// SPDX-License-Identifier: MIT
#pragma once

// The atomics policy: which `atomic` the lock-free parts of the library are written with.
//
// A part that shares memory without a lock is a template on a policy like std_atomics below, so
// that a test can drive the very same code with atomics that explore interleavings and stale
// reads (tests/support/explore). Code of the library itself never names another policy.

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
};

}  // namespace weft::detail

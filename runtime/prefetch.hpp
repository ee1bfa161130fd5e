// SPDX-License-Identifier: MIT
#pragma once
// For walks over many objects that lie apart, such as frames of tasks that have slept for long:
// brings the next one towards the cache while this one is worked on. A hint without an effect that
// a program could see: the address may be any, also one that is gone by now.

#include <cstdint>

namespace weft::detail {

/// The cache line that `p` points into, or one so many further on.
inline void prefetch(const void* p, int lines_further = 0) noexcept {
  constexpr int line_bytes = 64;
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto offset = static_cast<std::uintptr_t>(std::intptr_t{lines_further} * line_bytes);
  __builtin_prefetch(reinterpret_cast<const void*>(at + offset));
}

}  // namespace weft::detail

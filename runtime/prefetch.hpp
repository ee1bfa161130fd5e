// SPDX-License-Identifier: MIT
#pragma once
// For walks over many objects that lie apart: brings the next ones towards the cache while this one
// is worked on. A hint: the address may be any.

#include <cstdint>

namespace weft::detail {

/// The line that `p` points into, and those that follow or, with a negative number, precede it.
inline void prefetch(const void* p, int lines_further = 0) noexcept {
  constexpr int line_bytes = 64;
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto offset = static_cast<std::uintptr_t>(std::intptr_t{lines_further} * line_bytes);
  __builtin_prefetch(reinterpret_cast<const void*>(at + offset));
}

}  // namespace weft::detail

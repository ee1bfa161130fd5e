// SPDX-License-Identifier: MIT
#include "weft/runtime/promise.hpp"

#include "weft/runtime/assert.hpp"

#include <cstdio>

namespace weft::detail {

void promise_base::misused(const char* what) const noexcept {
  char text[1024];
  std::snprintf(text, sizeof text, "%s: %s", line.function_name(), what);
  fatal(text, line);
}

}  // namespace weft::detail

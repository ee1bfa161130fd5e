// SPDX-License-Identifier: MIT
#include "weft/runtime/generator_promise.hpp"

#include "weft/runtime/assert.hpp"

#include <cstdio>

namespace weft::detail {

void generator_base::unhandled_exception() noexcept {
  if (closing_) {
    try {
      throw;
    } catch (const generator_closed&) {
      return;
    } catch (...) {}
  }
  exception_ = std::current_exception();
}

void generator_base::misused(const char* what) const noexcept {
  char text[1024];
  std::snprintf(text, sizeof text, "%s: %s", line.function_name(), what);
  fatal(text, line);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weft::detail {

namespace {

// One buffer and one fputs: the line of a dying thread is not torn apart by the output of others,
// and nothing is allocated, since memory may be what is broken.
using line_buffer = char[2048];

}  // namespace

void assertion_failed(const char* condition, const char* message, const char* file,
                      int line) noexcept {
  line_buffer text;
  std::snprintf(text, sizeof text, "weft: %s:%d: %s: %s\n", file, line, condition, message);
  std::fputs(text, stderr);
  std::abort();
}

void fatal(std::string_view message, std::source_location where) noexcept {
  line_buffer text;
  const int length = static_cast<int>(std::min(message.size(), sizeof text / 2));
  std::snprintf(text, sizeof text, "weft: %s:%u: %.*s\n", where.file_name(),
                static_cast<unsigned>(where.line()), length, message.data());
  std::fputs(text, stderr);
  std::abort();
}

}  // namespace weft::detail

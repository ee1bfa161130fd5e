// SPDX-License-Identifier: MIT
#include "weft/sched/post.hpp"

#include "weft/runtime/assert.hpp"

#include <cstdio>
#include <exception>
#include <source_location>

namespace weft::detail {

namespace {

[[noreturn, gnu::cold]] void
escaped(const char* what, std::source_location where = std::source_location::current()) noexcept {
  char text[768];  // the end of a longer `what` is cut off
  std::snprintf(text, sizeof text,
                "an exception escaped a function that was given to post(), and nobody waits for "
                "such a function: catch it inside, or spawn a task in a group, which rethrows it. "
                "It was: %s",
                what);
  fatal(text, where);
}

}  // namespace

void posted::call_and_free(message& m, worker&) noexcept {
  auto& self = static_cast<posted&>(m);
  try {
    self.call();
  } catch (const std::exception& e) {
    escaped(e.what());
  } catch (...) {
    escaped("not a std::exception");
  }
  delete &self;
}

}  // namespace weft::detail

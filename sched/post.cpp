// SPDX-License-Identifier: MIT
#include "weft/sched/post.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/worker.hpp"

#include <cstdio>
#include <exception>
#include <source_location>

namespace weft::detail {

namespace {

[[noreturn, gnu::cold]] void escaped(const char* what, std::source_location where) noexcept {
  char text[896];  // the end of a longer `what` is cut off
  std::snprintf(text, sizeof text,
                "an exception escaped a function that was given to post() here, in %s, and nobody "
                "waits for such a function: catch it inside, or spawn a task in a group, which "
                "rethrows it. It was: %s",
                where.function_name(), what);
  fatal(text, where);
}

}  // namespace

void posted::call_and_free(message& m, worker& w) noexcept {
  auto& self = static_cast<posted&>(m);
  if (w.observed) w.note_function("a posted function");
  try {
    self.call();
  } catch (const std::exception& e) {
    escaped(e.what(), self.where);
  } catch (...) {
    escaped("not a std::exception", self.where);
  }
  if (w.observed) w.note_end();
  delete &self;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once

// Assertions on weft's own invariants. WEFT_ASSERT is compiled into every build, release too: a
// broken invariant ends the program with a message before it can corrupt anything.
// WEFT_DEBUG_ASSERT is for checks too dear for that; an installed weft/config.hpp decides about it,
// never NDEBUG, so that the library and all its users see the same inline functions. The message
// says what is wrong, why that matters, and what to do: it is read by someone whose server has just
// died.

#include "weft/config.hpp"

#include <source_location>
#include <string_view>

#ifndef WEFT_DEBUG_CHECKS
#define WEFT_DEBUG_CHECKS 0
#endif

namespace weft::detail {

/// Prints `weft: <file>:<line>: <condition>: <message>` and aborts. Cold, so that a call site costs
/// one predicted branch.
[[noreturn, gnu::cold, gnu::noinline]] void
assertion_failed(const char* condition, const char* message, const char* file, int line) noexcept;

/// Ends the program where no condition can be named: prints `weft: <file>:<line>: <message>` and
/// aborts.
[[noreturn, gnu::cold, gnu::noinline]] void
fatal(std::string_view message,
      std::source_location where = std::source_location::current()) noexcept;

}  // namespace weft::detail

/// An expression of type void; usable in constant expressions when the condition holds.
#define WEFT_ASSERT(condition, message) \
  (static_cast<bool>(condition)         \
       ? static_cast<void>(0)           \
       : ::weft::detail::assertion_failed(#condition, message, __FILE__, __LINE__))

#if WEFT_DEBUG_CHECKS
#define WEFT_DEBUG_ASSERT(condition, message) WEFT_ASSERT(condition, message)
#else
// The condition is still compiled, so that it cannot rot, but never evaluated.
#define WEFT_DEBUG_ASSERT(condition, message) \
  static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif

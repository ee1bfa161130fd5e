// SPDX-License-Identifier: MIT
#pragma once
// What the allocation tests count and break: every `operator new` of the program, and every throw.
// The functions replace the global ones, so these tests are a program of their own.

#include <cstdint>
#include <new>

namespace weft::tests {

enum class whose { this_thread, every_thread };

/// Calls of operator new so far.
std::uint64_t allocations(whose calls) noexcept;
/// Exceptions that were thrown or rethrown so far.
std::uint64_t throws(whose calls) noexcept;
/// False under clang's ThreadSanitizer, whose own operator new cannot be replaced. Inline, so that
/// it is asked where operator new is not defined. No compiler may leave out these two calls, as it
/// may a new expression.
inline bool allocations_are_counted() noexcept {
  const std::uint64_t before = allocations(whose::this_thread);
  ::operator delete(::operator new(1));
  return allocations(whose::this_thread) == before + 1;
}

/// While it lives, one call of operator new throws bad_alloc: the `nth` from now, from 1. One at a
/// time; made and destroyed by the same thread, if only its calls count.
class failing_new {
public:
  failing_new(std::int64_t nth, whose calls) noexcept;
  ~failing_new();
  failing_new(const failing_new&) = delete;
  failing_new& operator=(const failing_new&) = delete;

  /// Whether the call came that had to fail.
  bool failed() const noexcept;
};

/// While it lives, every call of operator new throws.
class no_memory {
public:
  no_memory() noexcept;
  ~no_memory();
  no_memory(const no_memory&) = delete;
  no_memory& operator=(const no_memory&) = delete;
};

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// Which sanitizer a test program runs with, as its runtime tells: for cases that are skipped
// because the sanitizer takes the place of what they are about, and for those that ask it.

extern "C" {
[[gnu::weak]] int __asan_address_is_poisoned(const volatile void* address) noexcept;
[[gnu::weak]] void __tsan_acquire(void* address) noexcept;
}

namespace weft::tests {

/// Then every frame is an allocation of its own.
inline const bool with_address_sanitizer = __asan_address_is_poisoned != nullptr;
inline const bool with_thread_sanitizer = __tsan_acquire != nullptr;

}  // namespace weft::tests

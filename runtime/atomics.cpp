// SPDX-License-Identifier: MIT
#include "weft/runtime/atomics.hpp"

#include <thread>

namespace weft::detail {

namespace {

// About a microsecond: longer than any critical section under a spin lock when its holder is
// running.
constexpr int spins_max = 64;

}  // namespace

void wait_briefly(int looks) noexcept {
  if (looks > spins_max) {
    std::this_thread::yield();
    return;
  }
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace weft::detail

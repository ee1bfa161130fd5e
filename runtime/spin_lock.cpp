// SPDX-License-Identifier: MIT
#include "weft/runtime/spin_lock.hpp"

#include <thread>

namespace weft::detail {

namespace {

// About a microsecond: longer than any critical section under this lock when its holder is running.
constexpr int spins_max = 64;

void pause_briefly() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace

void spin_lock::lock_contended() noexcept {
  int spins = 0;
  do {
    // relaxed: only a hint when to try; the exchange in try_lock orders.
    while (locked_.load(std::memory_order_relaxed)) {
      if (++spins <= spins_max) {
        pause_briefly();
      } else {
        std::this_thread::yield();
      }
    }
  } while (!try_lock());
}

}  // namespace weft::detail

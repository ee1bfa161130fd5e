// SPDX-License-Identifier: MIT
#include "weft/runtime/spin_lock.hpp"

namespace weft::detail {

void spin_lock::lock_contended() noexcept {
  int looks = 0;
  do {
    // relaxed: only a hint when to try; the exchange in try_lock orders.
    while (locked_.load(std::memory_order_relaxed)) wait_briefly(++looks);
  } while (!try_lock());
}

}  // namespace weft::detail

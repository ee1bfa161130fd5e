// SPDX-License-Identifier: MIT
#pragma once
// A spin lock for what two workers use all the time, a few nanoseconds each. A cache line that
// changes hands for each of these uses costs ten times what the uses do. So who finds it taken
// keeps away for a while, longer each time, and the other one gets many uses done in a row.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/spin_lock.hpp"

namespace weft::detail {

class back_off_lock : public spin_lock {
public:
  void lock() noexcept {
    if (!try_lock()) [[unlikely]]
      lock_later();
  }

private:
  // Ten to seventy nanoseconds each. Shorter ones let too few of the other's uses through; after
  // all of them, ten microseconds or so, the holder may well not be running.
  static constexpr int pauses_least = 32;
  static constexpr int pauses_most = 128;

  [[gnu::cold, gnu::noinline]] void lock_later() noexcept {
    for (int pauses = pauses_least; pauses <= pauses_most; pauses *= 2) {
      for (int i = 0; i < pauses; ++i) wait_briefly(0);
      if (try_lock()) return;
    }
    spin_lock::lock();
  }
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
// expect: a channel moves its values under a lock: T's move must be noexcept
#include "weft/runtime/channel.hpp"

struct heavy {
  heavy() = default;
  heavy(heavy&&) {}
};

void make() { auto ends = weft::channel<heavy>(1); }

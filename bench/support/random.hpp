// SPDX-License-Identifier: MIT
#pragma once
// Numbers that look random, the same ones in every run, at a cost of a nanosecond.

#include <cstdint>

namespace bench {

/// xorshift64*: good enough to spread deadlines and offsets.
class random_numbers {
public:
  explicit random_numbers(std::uint64_t seed = 0x9e3779b97f4a7c15) noexcept : state_(seed) {}

  /// Below 2^32.
  std::uint64_t next() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545f4914f6cdd1d) >> 32;
  }
  /// Below `bound`, which is at most 2^32.
  std::uint64_t below(std::uint64_t bound) noexcept { return (next() * bound) >> 32; }

private:
  std::uint64_t state_;
};

}  // namespace bench

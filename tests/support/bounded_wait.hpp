// SPDX-License-Identifier: MIT
#pragma once
// How long a loop that only awaits waits for what another task is to do meanwhile, before the test
// takes it for lost.

#include <chrono>
#include <cstdint>

namespace weft::tests {

/// One worker does it between two rounds, or never: `rounds` bound that. Of two the other one may
/// have begun it, and be held up by the system for as long as that likes: they have a minute.
class bounded_wait {
public:
  bounded_wait(unsigned workers, int rounds) noexcept : alone_(workers == 1), rounds_(rounds) {}

  /// Once a round.
  bool goes_on() noexcept {
    ++round_;
    if (alone_) return round_ <= rounds_;
    return round_ % 1024 != 0 || std::chrono::steady_clock::now() < end_;
  }

private:
  bool alone_;
  int rounds_;
  std::int64_t round_ = 0;
  std::chrono::steady_clock::time_point end_ =
      std::chrono::steady_clock::now() + std::chrono::minutes(1);
};

}  // namespace weft::tests

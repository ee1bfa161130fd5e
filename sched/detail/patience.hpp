// SPDX-License-Identifier: MIT
#pragma once
// Whether a worker that has run dry looks again before it sleeps. A sleep costs several
// microseconds to begin and to end, in a virtual machine tens of them, and who ends it pays a
// system call; looking again costs a core. So a worker looks for a bounded time, and only while its
// dry spells have lately been short: one that mostly waits for long goes to sleep at once.
//
// It does not look where it would be in the way: not when there are fewer cores than workers, and
// it offers its core to others every few microseconds and gives up for a while when somebody took
// it. Owner thread only; what may end the spell is seen by the caller's looks.

#include "weft/io/kernel/kernel.hpp"

#include <cstdint>

namespace weft::detail {

class patience {
public:
  /// Looks for at most so long (0: not at all).
  patience(kernel& k, std::int64_t most_ns) noexcept : kernel_(k), most_ns_(most_ns) {}

  /// Whether it ever looks again.
  bool looks() const noexcept { return most_ns_ != 0; }

  /// The worker has nothing to run, after so many looks: whether it looks again, after a moment, or
  /// sleeps.
  [[nodiscard]] bool look_again(int looks = 1) noexcept {
    if (most_ns_ == 0) return false;
    if (!dry_) begin();
    return looks_on_ && pause(looks);
  }

  /// The worker has something to run.
  void found() noexcept {
    if (!dry_) return;
    dry_ = false;
    long_spells_ = 0;
  }

  // Around each sleep.
  void sleeps() noexcept {
    if (most_ns_ != 0 && !dry_) begin();
  }
  void slept() noexcept;

private:
  void begin() noexcept;
  bool pause(int looks) noexcept;

  kernel& kernel_;
  const std::int64_t most_ns_;  // 0: never looks again
  std::int64_t since_ns_ = 0;
  int looks_ = 0;
  unsigned long_spells_ = 0;           // the last ones in a row
  std::int64_t crowded_ns_ = 0;        // so long the core was taken to be somebody else's,
  std::int64_t crowded_until_ns_ = 0;  // the last time until then
  bool dry_ = false;
  bool looks_on_ = false;
};

/// How long each of so many workers looks before it sleeps.
std::int64_t patience_of(kernel& k, unsigned workers) noexcept;

}  // namespace weft::detail

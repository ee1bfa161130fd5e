// SPDX-License-Identifier: MIT
#pragma once
// How far the cores of this machine are from each other: a thief looks at workers near it first,
// since what it takes lies in a cache that both use, or at least in memory of the same node. As
// hwloc sees it; where that is not there, all are equally near.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::detail {

class core_distances {
public:
  /// All are equally near.
  core_distances() = default;
  /// Of this machine, or of what hwloc is told to take for it (HWLOC_SYNTHETIC). Errors: bad_alloc;
  /// where hwloc cannot tell, all are equally near.
  [[nodiscard]] static core_distances read();
  /// The same, read once for the process: some milliseconds.
  [[nodiscard]] static const core_distances& of_machine();

  /// At least one.
  [[nodiscard]] unsigned levels() const noexcept { return levels_; }
  /// From 0, for what is nearest, to levels() - 1. Cores as sched_getcpu() counts them; one that
  /// is not known is far.
  [[nodiscard]] unsigned between(int from, int to) const noexcept {
    if (levels_ == 1) return 0;
    const auto a = static_cast<std::size_t>(from);
    const auto b = static_cast<std::size_t>(to);
    return a < cores_ && b < cores_ ? level_[a * cores_ + b] : levels_ - 1;
  }

private:
  unsigned levels_ = 1;
  std::size_t cores_ = 0;
  std::vector<std::uint8_t> level_;  // of each pair
};

}  // namespace weft::detail

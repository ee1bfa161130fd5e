// SPDX-License-Identifier: MIT
#pragma once
// Which of two ways to do the same is the faster one here. Where that is the processor's affair and
// not the program's, no constant is right: whoever does the same many times, such as a part of a
// parallel algorithm its pieces, tries both ways for a while, and keeps the faster.

#include <array>
#include <limits>

namespace weft::detail {

/// Tries both in turn, four times each; the one with the least cost wins, the first of two equals.
class trial {
public:
  bool is_over() const noexcept { return left_ == 0; }
  /// Whether the second way is to be taken next.
  bool takes_second() const noexcept { return is_over() ? least_[1] < least_[0] : left_ % 2 == 0; }
  /// The way that was to be taken has had this cost, in whatever unit.
  void cost(double c) noexcept {
    double& least = least_[takes_second() ? 1 : 0];
    if (c < least) least = c;
    --left_;
  }

private:
  unsigned left_ = 8;
  std::array<double, 2> least_ = {std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::infinity()};
};

}  // namespace weft::detail

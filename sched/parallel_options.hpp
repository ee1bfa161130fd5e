// SPDX-License-Identifier: MIT
#pragma once
// What all parallel algorithms can be told. Without options they find out by themselves how much
// of a range makes a piece that is worth handing over, by measuring while they run.

#include <cstddef>

namespace weft {

/// Trivially destructible, as all options are: g++ 12 destroys others twice in a co_await.
struct parallel_options {
  /// The least number of iterations that is worth a piece of its own; between two pieces a stop is
  /// seen and others get their turn. 0: it is measured, so that a piece takes some 20 us. 1 is
  /// right where each iteration takes longer than that and there are only few of them.
  std::size_t grain = 0;
};

}  // namespace weft

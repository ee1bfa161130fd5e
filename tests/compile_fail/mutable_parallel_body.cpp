// SPDX-License-Identifier: MIT
// expect: no mutable lambda
#include "weft/sched/parallel_for.hpp"

weft::task<> count() {
  int n = 0;
  co_await weft::parallel_for(0, 3, [n](int) mutable { ++n; });
}

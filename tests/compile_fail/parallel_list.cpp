// SPDX-License-Identifier: MIT
// expect: needs random access
#include "weft/sched/parallel_for_each.hpp"

#include <list>

weft::task<> count(std::list<int>& all) {
  co_await weft::parallel_for_each(all, [](int) {});
}

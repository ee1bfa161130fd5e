// SPDX-License-Identifier: MIT
// expect: name the lambda first
#include "weft/sched/parallel_for.hpp"

#include <string>

// Only g++ 12 destroys such captures twice; newer compilers accept the program.
#if defined(__clang__) || __GNUC__ >= 13
#error "nothing to refuse here; with g++ 12: name the lambda first"
#endif

weft::task<> greet(std::string name) {
  co_await weft::parallel_for(0, 3, [name](int) {});
}

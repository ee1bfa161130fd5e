// SPDX-License-Identifier: MIT
// expect: name the handle first
#include "weft/runtime/task_group.hpp"

#include <string>

// Only g++ 12 destroys such captures twice; newer compilers accept the program.
#if defined(__clang__) || __GNUC__ >= 13
#error "nothing to refuse here; with g++ 12: name the handle first"
#endif

weft::task<> greet(weft::task_group& group, std::string name) {
  co_await group.spawn([name]() -> weft::task<> { co_return; });
}

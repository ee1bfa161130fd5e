// SPDX-License-Identifier: MIT
// expect: name the lambda first
#include "weft/runtime/task_group.hpp"

#include <string>

// Only g++ 12 destroys such captures twice; newer compilers accept the program.
#if defined(__clang__) || __GNUC__ >= 13
#error "nothing to refuse here; with g++ 12: name the lambda first"
#endif

weft::task<> greet(weft::task_group& group, std::string name) {
  co_await group.start([name](weft::task_status<>& status) -> weft::task<> {
    status.started();
    co_return;
  });
}

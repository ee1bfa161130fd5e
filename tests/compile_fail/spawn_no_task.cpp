// SPDX-License-Identifier: MIT
// expect: spawn
#include "weft/runtime/task_group.hpp"

weft::task<> parent() {
  auto body = [](weft::task_group& g) -> weft::task<> {
    g.spawn([] { return 1; });
    co_return;
  };
  co_await weft::with_task_group(body);
}

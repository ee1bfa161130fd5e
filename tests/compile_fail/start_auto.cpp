// SPDX-License-Identifier: MIT
// expect: spelled out
#include "weft/runtime/task_group.hpp"

weft::task<> parent(weft::task_group& group) {
  auto serve = [](auto& status) -> weft::task<> {
    status.started();
    co_return;
  };
  co_await group.start(serve);
}

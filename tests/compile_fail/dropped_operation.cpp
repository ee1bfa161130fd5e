// SPDX-License-Identifier: MIT
// expect: nodiscard|warn_unused_result|ignoring return value
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task.hpp"

#include <chrono>

weft::task<> no_sleep() {
  weft::sleep_for(std::chrono::seconds(1));
  co_return;
}

// SPDX-License-Identifier: MIT
// expect: a generator gives one value after the other: co_await its next\(\)
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/task.hpp"

weft::async_generator<int> numbers() { co_yield 1; }

weft::task<> waits() {
  auto generator = numbers();
  co_await generator;
}

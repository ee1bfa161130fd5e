// SPDX-License-Identifier: MIT
// expect: a pipeline owns its source: write std::move\(source\) \| \.\.\.
#include "weft/runtime/pipeline.hpp"

weft::async_generator<int> numbers() { co_yield 1; }

void pipe() {
  auto generator = numbers();
  generator | weft::take(1);
}

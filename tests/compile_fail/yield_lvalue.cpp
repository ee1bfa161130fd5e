// SPDX-License-Identifier: MIT
// expect: this type cannot be copied: write co_yield std::move\(value\)
#include "weft/runtime/async_generator.hpp"

#include <memory>

weft::async_generator<std::unique_ptr<int>> boxes() {
  auto box = std::make_unique<int>(1);
  co_yield box;
}

// SPDX-License-Identifier: MIT
// expect: this_generator is for the body of a weft::async_generator
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/task.hpp"

weft::task<> waits() { co_await weft::this_generator::needs_close(); }

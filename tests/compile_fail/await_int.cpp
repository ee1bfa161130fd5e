// SPDX-License-Identifier: MIT
// expect: this cannot be awaited
// expect: a weft::task, an operation such as
// expect: weft::blocking\(fn, args\.\.\.\)
#include "weft/runtime/task.hpp"

int compute() { return 1; }

weft::task<> waits() { co_await compute(); }

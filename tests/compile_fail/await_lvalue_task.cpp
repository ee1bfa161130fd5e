// SPDX-License-Identifier: MIT
// expect: a task is awaited once, as an rvalue: write co_await std::move\(t\)
#include "weft/runtime/task.hpp"

weft::task<int> number() { co_return 1; }

weft::task<int> twice() {
  weft::task<int> t = number();
  co_return co_await t;
}

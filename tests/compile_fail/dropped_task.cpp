// SPDX-License-Identifier: MIT
// expect: a weft::task does nothing until it is awaited: co_await it
#include "weft/runtime/task.hpp"

weft::task<> send_mail() { co_return; }

weft::task<> forget() {
  send_mail();
  co_return;
}

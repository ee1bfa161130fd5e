// SPDX-License-Identifier: MIT
// expect: a weft::task is awaited in another weft::task
// expect: weft::run
#include "weft/runtime/task.hpp"

#include <coroutine>

struct fire_and_forget {
  struct promise_type {
    fire_and_forget get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

weft::task<> work() { co_return; }

fire_and_forget elsewhere() { co_await work(); }

// SPDX-License-Identifier: MIT
// expect: an operation is awaited in a weft::task
// expect: weft::run
#include "weft/runtime/sleep.hpp"

#include <chrono>
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

fire_and_forget elsewhere() { co_await weft::sleep_for(std::chrono::seconds(1)); }

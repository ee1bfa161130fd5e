// SPDX-License-Identifier: MIT
#pragma once
// The least that can be called a lazy task: no strand, no scope, no source line, no exceptions, no
// bound on the stack, frames from malloc. What the compiler's coroutines cost by themselves.

#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace bench {

class bare_task {
public:
  struct promise_type;
  using handle = std::coroutine_handle<promise_type>;

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(handle h) const noexcept;
    void await_resume() const noexcept {}
  };

  struct promise_type {
    bare_task get_return_object() noexcept { return bare_task(handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    final_awaiter final_suspend() const noexcept { return {}; }
    void return_value(std::int64_t v) noexcept { value = v; }
    [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }

    std::coroutine_handle<> awaiter = std::noop_coroutine();
    std::int64_t value = 0;
  };

  bare_task(bare_task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  bare_task& operator=(bare_task&&) = delete;
  ~bare_task() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) const noexcept {
    frame_.promise().awaiter = h;
    return frame_;
  }
  std::int64_t await_resume() const noexcept { return frame_.promise().value; }

  /// For the outermost task, which nobody awaits.
  std::int64_t run() const {
    frame_.resume();
    return frame_.promise().value;
  }

private:
  explicit bare_task(handle h) noexcept : frame_(h) {}

  handle frame_;
};

inline std::coroutine_handle<> bare_task::final_awaiter::await_suspend(handle h) const noexcept {
  return h.promise().awaiter;
}

}  // namespace bench

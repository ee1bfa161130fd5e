// SPDX-License-Identifier: MIT
#pragma once
// task<T>: a coroutine that returns a T. Lazy: nothing runs before it is awaited, or handed to
// run(), spawn() or when_all(). It runs on the strand of whoever awaits it, and knows no scheduler:
// the same task runs on an event loop or on a thread pool.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/fork_join.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/outcome.hpp"
#include "weft/runtime/promise.hpp"

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

namespace weft {

namespace detail {

template <class T>
class task_promise;

struct task_access;

}  // namespace detail

/// A lazily started coroutine.
///
/// Shape:    T may be void, a reference, or a type that can be moved; over-aligned types are fine
///           up to 64 bytes.
/// Returns:  `co_await std::move(t)` or `co_await f()` gives the value, or rethrows what escaped.
/// Errors:   bad_alloc from the call that creates it; nothing of it has started then.
/// Thread:   moved and destroyed by one thread at a time; runs where its awaiter runs.
/// Lifetime: arguments live in the frame by value; whatever it takes by reference or captures
///           outlives it. Destroying it unstarted is fine, destroying it while it is suspended
///           aborts.
/// Cost:     one frame from the worker's cache (heap on other threads), no system call.
template <class T = void>
class [[nodiscard(
    "a weft::task does nothing until it is awaited: co_await it, or give it to when_all, a task "
    "group's spawn, or run")]] task {
public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      reset();
      promise_ = std::exchange(other.promise_, nullptr);
    }
    return *this;
  }
  [[gnu::always_inline]] ~task() { reset(); }

  /// False after it has been moved from.
  explicit operator bool() const noexcept { return promise_ != nullptr; }

  /// For coroutines that are none of weft's: a message in the place of a crash.
  template <class U = T>
  std::suspend_never operator co_await() && noexcept {
    static_assert(!std::same_as<U, U>,
                  "weft: a weft::task is awaited in another weft::task; from a coroutine of "
                  "another library, or "
                  "from plain code, start it with weft::run or a scheduler's run");
    return {};
  }

private:
  friend promise_type;
  friend detail::task_access;

  explicit task(promise_type& p) noexcept : promise_(&p) {}

  // Always inline, and by the handle of this very promise: where a compiler knows the frame that
  // was made it sees that it ends here, on each way out, and may do without the heap.
  [[gnu::always_inline]] void reset() noexcept {
    if (promise_ == nullptr) return;
    if (!promise_->handle().done() && promise_->strand_ != nullptr) [[unlikely]]
      promise_->misused("this task was destroyed while it is suspended: await it to its end, or "
                        "cancel the scope that it runs in and join it");
    std::coroutine_handle<promise_type>::from_promise(*promise_).destroy();
    promise_ = nullptr;
  }

  promise_type* promise_;
};

namespace detail {

template <class T>
class task_promise final : public promise_base, public outcome<T> {
public:
  // The default argument is evaluated inside the coroutine: it names the function and its line.
  explicit task_promise(std::source_location where = std::source_location::current()) noexcept
      : promise_base(where) {}

  task<T> get_return_object() noexcept {
    static_assert(has_usual_place<task_promise>);
    return task<T>(*this);
  }
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { this->set_exception(std::current_exception()); }
};

/// What combinators and runners may do with a task that users may not.
struct task_access {
  /// Of a task that was not awaited before; a null one is an empty task's.
  template <class T>
  static task_promise<T>& unstarted(task_promise<T>* p) noexcept {
    WEFT_ASSERT(p != nullptr, "this task is empty: it was moved from");
    if (p->strand_ != nullptr) [[unlikely]]
      p->misused("this task was awaited before: a task runs once");
    return *p;
  }
  template <class T>
  static task_promise<T>& promise(task<T>& t) noexcept {
    return unstarted(t.promise_);
  }
  template <class T>
  static task_promise<T>& finished(task<T>& t) noexcept {
    return *t.promise_;
  }
  /// Whoever has it drops it; null of an empty task.
  template <class T>
  static task_promise<T>* release(task<T>& t) noexcept {
    task_promise<T>* p = std::exchange(t.promise_, nullptr);
    // One by one: a vector of two that have just been stored waits until both are in the cache.
    asm("" : "+r"(p));
    return p;
  }
  /// Whether one lies behind the other in memory; any answer where one is null.
  static bool is_above(const promise_base* p, const promise_base* other) noexcept {
    return reinterpret_cast<std::uintptr_t>(p) > reinterpret_cast<std::uintptr_t>(other);
  }
  /// Destroys the frame of a task that has finished or was never started, or none.
  static void drop(promise_base* p) noexcept {
    if (p != nullptr) p->handle().destroy();
  }
  template <class T>
  static void drop(task<T>& t) noexcept {
    drop(release(t));
  }
};

/// A task's end without its outcome: the awaiting coroutine looks at that itself.
struct ended_task : operation_tag {
  explicit ended_task(promise_base& p) noexcept : child(&p) {}

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
    return promise->call(*child);
  }
  void await_resume() const noexcept {}

  promise_base* child;
  promise_base* promise = nullptr;
};

template <class T>
class task_awaiter {
public:
  explicit task_awaiter(task<T>& t) noexcept : promise_(&task_access::promise(t)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) noexcept {
    return h.promise().call(*promise_);
  }
  T await_resume() { return promise_->take(); }

private:
  task_promise<T>* promise_;
};

}  // namespace detail

}  // namespace weft

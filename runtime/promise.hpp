// SPDX-License-Identifier: MIT
#pragma once
// What every coroutine of weft has in its frame, whatever it returns: who awaits it, the strand
// that it runs on, and the source line of the co_await that it stands at (before the first one: the
// line of the function itself). From any promise one can walk to whoever waits for it. It knows no
// scheduler: it reaches the current worker only to transfer control.

#include "weft/runtime/strand.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/worker.hpp"

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weft {
template <class T>
class task;
}

namespace weft::detail {

template <class T>
class task_awaiter;

/// Marks what a coroutine awaits as an operation. It is told by whom, if it has a member `promise`.
struct operation_tag {};

/// An operation that a coroutine awaits while others may look at its line, from tasks that it has
/// to outlive: the line stays what it is.
template <class A>
concept keeps_line = requires { typename A::keeps_line_tag; };

template <class A>
concept has_await_interface = requires(A& a) {
  a.await_ready();
  a.await_resume();
};
template <class A>
concept has_member_co_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_co_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };

/// Awaits an object where it lies: awaiters are handed to the compiler by value, as pointers.
template <class Awaiter>
struct awaiter_ref {
  Awaiter* awaiter;

  bool await_ready() noexcept(noexcept(awaiter->await_ready())) { return awaiter->await_ready(); }
  template <class Promise>
  decltype(auto)
  await_suspend(std::coroutine_handle<Promise> h) noexcept(noexcept(awaiter->await_suspend(h))) {
    return awaiter->await_suspend(h);
  }
  decltype(auto) await_resume() { return awaiter->await_resume(); }
};

class promise_base {
public:
  explicit promise_base(std::source_location where) noexcept : line(where) {}
  promise_base(const promise_base&) = delete;
  promise_base& operator=(const promise_base&) = delete;

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* p, std::size_t bytes) noexcept { deallocate_frame(p, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  template <class T>
  task_awaiter<T>
  await_transform(task<T>&& t,
                  std::source_location where = std::source_location::current()) noexcept {
    line = where;
    return task_awaiter<T>(t);
  }

  template <class T>
  std::suspend_never await_transform(task<T>&) noexcept {
    static_assert(!std::same_as<T, T>,
                  "weft: a task is awaited once, as an rvalue: write co_await std::move(t)");
    return {};
  }

  template <class A>
  auto await_transform(A&& a, std::source_location where = std::source_location::current()) {
    using type = std::remove_cvref_t<A>;
    if constexpr (!keeps_line<type>) line = where;
    if constexpr (std::derived_from<type, operation_tag>) {
      if constexpr (requires { a.promise = this; }) a.promise = this;
      return awaiter_ref<std::remove_reference_t<A>>{&a};
    } else if constexpr (has_member_co_await<A>) {
      auto operation = std::forward<A>(a).operator co_await();
      if constexpr (std::derived_from<decltype(operation), operation_tag>) operation.promise = this;
      return operation;
    } else if constexpr (has_free_co_await<A>) {
      return operator co_await(std::forward<A>(a));
    } else if constexpr (has_await_interface<std::remove_reference_t<A>>) {
      return awaiter_ref<std::remove_reference_t<A>>{&a};
    } else {
      static_assert(
          has_await_interface<type>,
          "weft: this cannot be awaited. co_await takes a weft::task, an operation such as "
          "weft::sleep_for, or a type with await_ready, await_suspend and await_resume; call "
          "a plain function without co_await, a blocking one with weft::blocking(fn, args...)");
      return std::suspend_never{};
    }
  }

  /// Runs `child` on this coroutine's strand, and comes back when it has finished.
  std::coroutine_handle<> call(promise_base& child) noexcept {
    child.awaiter = this;
    child.strand_ = strand_;
    return current_worker()->hop(child.handle());
  }

  /// The coroutine has reached its end: what runs next.
  [[gnu::always_inline]] std::coroutine_handle<> finish() noexcept;
  /// The same at the root of a strand.
  std::coroutine_handle<> finish_strand() noexcept;

  /// Every promise begins with this part, and is aligned no stricter than frames are by themselves:
  /// so its place in the frame does not depend on its type.
  std::coroutine_handle<> handle() noexcept {
    return std::coroutine_handle<promise_base>::from_promise(*this);
  }

  /// Ends the program with a message that names this coroutine, and the line where it stands.
  [[noreturn, gnu::cold, gnu::noinline]] void misused(const char* what) const noexcept;

  promise_base* awaiter = nullptr;  // null at the root of a strand
  strand* strand_ = nullptr;        // null until it is started
  std::source_location line;
};

/// Whether handle() gives the handle of a coroutine with this promise.
template <class Promise>
inline constexpr bool has_usual_place =
    std::derived_from<Promise, promise_base> && alignof(Promise) <= 2 * sizeof(void*);

inline std::coroutine_handle<> worker::hop_in_passing(promise_base& next) noexcept {
  --hops;
  return next.handle();
}

struct final_awaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) const noexcept {
    return h.promise().finish();
  }
  void await_resume() const noexcept {}
};

inline strand& strand_of(promise_base& p) noexcept { return *p.strand_; }

}  // namespace weft::detail

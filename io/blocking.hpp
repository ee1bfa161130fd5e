// SPDX-License-Identifier: MIT
#pragma once
// blocking(fn, args...): a call that would block its worker, made on a helper thread of the
// scheduler while the task waits. For what has no ring operation: libraries that block,
// getaddrinfo, the disk behind a directory.

#include "weft/io/helper_job.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/outcome.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"

#include <concepts>
#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class helper_pool;

/// One call on a helper. Cancelled while it is queued, it never runs; once it runs it is awaited.
class blocking_operation : public awaitable_operation<blocking_operation, void, waiter>,
                           public helper_job {
public:
  static constexpr const char* name = "blocking";

  blocking_operation(void (*call)(void*) noexcept, void* context) noexcept;

  bool try_now(worker&) noexcept { return false; }
  bool start(worker& w) noexcept;
  static bool withdraw(operation& op, worker&) noexcept;
  result<void> finish() noexcept;

private:
  static void run_on_helper(helper_job& job) noexcept;

  void (*call_)(void*) noexcept;
  void* context_;
  helper_pool* pool_ = nullptr;
  int error_ = 0;
  bool withdrawn_ = false;
};

template <class R, class Call>
struct blocking_context {
  Call* call;
  outcome<R> returned;

  static void run(void* self) noexcept {
    auto& c = *static_cast<blocking_context*>(self);
    try {
      if constexpr (std::is_void_v<R>) {
        std::apply(std::move(c.call->function), std::move(c.call->args));
      } else {
        c.returned.return_value(std::apply(std::move(c.call->function), std::move(c.call->args)));
      }
    } catch (...) {
      c.returned.set_exception(std::current_exception());
    }
  }
};

template <class R, class Call>
task<R> run_blocking(Call call) {
  blocking_context<R, Call> context{&call, {}};
  blocking_operation operation(&context.run, &context);
  co_await operation;
  if constexpr (std::is_void_v<R>)
    context.returned.take();
  else
    co_return context.returned.take();
}

}  // namespace detail

/// Runs `fn(args...)` on a helper thread and waits for it.
///
/// Shape:    the function and its arguments are moved (or copied) and passed to fn as rvalues;
///           std::ref passes a reference. fn is no coroutine: it must not co_await.
/// Returns:  what fn returns.
/// Errors:   rethrows what fn throws; resource_unavailable_try_again when not a single helper
///           thread could be started; cancelled when the scope is stopped before a helper took the
///           call. A running call cannot be stopped: it is awaited, and its result delivered.
/// Thread:   fn runs on a thread that is none of weft's workers; at most `helpers_max` at once,
///           further calls wait in line.
/// Lifetime: what fn takes by reference outlives the co_await.
/// Cost:     one frame and two thread switches: tens of microseconds.
template <class F, class... Args>
[[nodiscard]] auto blocking(F&& fn, Args&&... args)
    -> task<std::invoke_result_t<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>> {
  static_assert(detail::safe_as_temporary<F>,
                "weft: name the lambda first (auto call = [...]; co_await blocking(call)): g++ 12 "
                "destroys the captures of a temporary lambda twice in a co_await");
  using value = std::invoke_result_t<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
  using call = detail::bound_call<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
  return detail::run_blocking<value, call>(call(std::forward<F>(fn), std::forward<Args>(args)...));
}

}  // namespace weft

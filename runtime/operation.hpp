// SPDX-License-Identifier: MIT
#pragma once
// What a strand waits for, and the one way in which every awaitable of weft suspends: refuse when
// the scope is stopped, try to finish at once, publish to the strand, start, suspend. A concrete
// operation derives from awaitable_operation and supplies
//   bool try_now(worker&) noexcept      finished without waiting? (may take a permit or a message)
//   bool start(worker&) noexcept        begin; false when it finished at once after all
//   result<T> finish() noexcept         the outcome, after any of the two or after complete()
//   static bool withdraw(operation&, worker&) noexcept
//                                       cancel: true when it will have no effect any more (the
//                                       canceller resumes it), false when complete() is to come
// and is trivially destructible where it can be (g++ 12 miscompiles others in a co_await).

#include "weft/runtime/error.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/result.hpp"
#include "weft/runtime/strand.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/worker.hpp"

#include <coroutine>
#include <type_traits>
#include <utility>

namespace weft::detail {

struct operation : suspended {
  using withdraw_fn = bool (*)(operation&, worker&) noexcept;

  explicit operation(withdraw_fn f) noexcept : withdraw(f) {}

  withdraw_fn withdraw;
  worker* owner = nullptr;  // who alone may cancel it; null: any worker of the strand's scheduler
};

/// An operation that others complete, on whatever thread they are.
struct waiter : operation, message {
  explicit waiter(withdraw_fn f) noexcept : operation(f) {}

  /// Makes the strand ready, by way of its scheduler when that is another one. Publishes.
  void complete() noexcept;
};

template <class Derived, class T, class Base = operation>
class awaitable_operation : public Base, public operation_tag {
public:
  using value_type = T;

  awaitable_operation() noexcept : Base(&Derived::withdraw) {}

  bool await_ready() noexcept {
    worker& w = *current_worker();
    if (strand_of(*this->promise).stop_requested()) {
      settled_ = refused_ = true;
    } else {
      settled_ = self().try_now(w);
    }
    return settled_ && w.spend();
  }

  bool await_suspend(std::coroutine_handle<>) noexcept {
    worker& w = *current_worker();
    if (settled_) {  // the budget is gone
      w.ready(*this);
      return true;
    }
    strand& s = strand_of(*this->promise);
    if (!s.begin_wait(*this)) {
      refused_ = true;
      return false;
    }
    if (!self().start(w)) {
      s.abort_wait();
      return false;
    }
    s.commit_wait();
    return true;
  }

  T await_resume() {
    result<T> r = outcome();
    if (!r) throw_error(r.error(), Derived::name);
    if constexpr (!std::is_void_v<T>) return *std::move(r);
  }

  /// The outcome without a throw; for as_result.
  result<T> outcome() noexcept(noexcept(std::declval<Derived&>().finish())) {
    if (refused_) return failure{cancelled_code()};
    return self().finish();
  }

private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }

  bool settled_ = false;
  bool refused_ = false;
};

}  // namespace weft::detail

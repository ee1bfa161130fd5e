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
//   void describe(wait_note&) const noexcept      may be left out: for reports
// and is trivially destructible where it can be (g++ 12 miscompiles others in a co_await).

#include "weft/runtime/assert.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/result.hpp"
#include "weft/runtime/scope.hpp"
#include "weft/runtime/strand.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/wait_note.hpp"
#include "weft/runtime/worker.hpp"

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace weft::detail {

struct operation;

/// What all operations of a type have in common.
struct operation_kind {
  const char* name;
  bool (*withdraw)(operation&, worker&) noexcept;
  /// Says more of the wait; null: there is no more. Thread: any, holding the strand's lock.
  void (*describe)(const operation&, wait_note&) noexcept = nullptr;
};

struct operation : suspended {
  explicit operation(const operation_kind& k) noexcept : kind(&k), owner(nullptr) {}
  /// set_up() follows before it waits.
  explicit operation(before_waiting b) noexcept : suspended(b) { promise = nullptr; }
  /// Of one that does not wait yet.
  operation(const operation& other) noexcept : suspended(before_waiting()) {
    promise = other.promise;
  }
  operation& operator=(const operation&) = delete;

  void set_up(const operation_kind& k) noexcept {
    kind = &k;
    owner = nullptr;
  }

  bool withdraw(worker& w) noexcept { return kind->withdraw(*this, w); }

  const operation_kind* kind;
  worker* owner;  // who alone may cancel it; null: any worker of the strand's scheduler
};

/// An operation that others complete, on whatever thread they are.
struct waiter : operation, message {
  explicit waiter(const operation_kind& k) noexcept : operation(k), message(before_waiting()) {}
  explicit waiter(before_waiting b) noexcept : operation(b), message(b) {}
  waiter(const waiter& other) noexcept : operation(other), message(before_waiting()) {}
  waiter& operator=(const waiter&) = delete;

  /// Makes the strand ready, by way of its scheduler when that is another one. Publishes.
  void complete() noexcept;
};

template <class Promise>
constexpr bool awaits_operations_() {
  static_assert(std::derived_from<Promise, promise_base>,
                "weft: an operation is awaited in a weft::task; from a coroutine of another "
                "library start a task with weft::run or a scheduler's run");
  return true;
}
/// An operation knows the task that awaits it: in another library's coroutine there is none.
template <class Promise>
inline constexpr bool awaits_operations = awaits_operations_<Promise>();

/// For an await that has come to its end within await_suspend, and what that returns: the task goes
/// on while it has budget, else behind the others that are ready. Publishes when true.
inline bool rests(suspended& s, worker& w) noexcept {
  if (w.spend()) return false;
  w.give_way(s);
  return true;
}

/// Gives a coroutine its own promise.
struct own_promise : operation_tag {
  promise_base* promise = nullptr;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  promise_base& await_resume() const noexcept { return *promise; }
};

template <class Derived>
constexpr operation_kind make_kind() noexcept {
  operation_kind kind{.name = Derived::name, .withdraw = &Derived::withdraw};
  if constexpr (requires(const Derived& d, wait_note& note) { d.describe(note); })
    kind.describe = [](const operation& op, wait_note& note) noexcept {
      static_cast<const Derived&>(op).describe(note);
    };
  return kind;
}
template <class Derived>
inline constexpr operation_kind kind_of = make_kind<Derived>();

template <class Derived, class T, class Base = operation>
class awaitable_operation : public Base, public operation_tag {
public:
  using value_type = T;

  awaitable_operation() noexcept : Base(before_waiting()) {}
  awaitable_operation(const awaitable_operation& other) noexcept
      : Base(other), operation_tag(other) {}
  awaitable_operation& operator=(const awaitable_operation&) = delete;

  bool await_ready() noexcept {
    worker* const here = current_worker();
    WEFT_ASSERT(here != nullptr,
                "a task was resumed on a thread that runs no scheduler: resume it by a post()");
    worker& w = *here;
    // In locals: for all that the compiler knows, what is called below changes the members.
    promise_base& p = *this->promise;
    const bool refused = strand_of(p).stop_requested();
    refused_ = refused;
    if (refused) [[unlikely]]
      w.note_refusal(p);
    settled_ = refused || self().try_now(w);
    return settled_ && w.spend();
  }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise>) noexcept {
    static_assert(awaits_operations<Promise>);
    worker& w = *current_worker();
    if (settled_) {  // the budget is gone
      w.give_way(*this);
      return true;
    }
    this->set_up(kind_of<Derived>);
    strand& s = strand_of(*this->promise);
    if (!s.begin_wait(*this)) {
      refused_ = true;
      return rests(*this, w);
    }
    if (!self().start(w)) {
      s.abort_wait();
      return rests(*this, w);
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

  // Set by await_ready().
  bool settled_;
  bool refused_;
};

}  // namespace weft::detail

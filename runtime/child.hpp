// SPDX-License-Identifier: MIT
#pragma once
// The record of a spawned task. It is no coroutine: it holds the strand, the function and its
// arguments (so that captures and parameters outlive every suspension), the outcome, and a count of
// who still needs it: the running task and, if it was kept, the join_handle. It is queued as it is;
// the worker that takes it calls the function, and resumes the task that this gives (begin).
//
// When that has finished, and nothing of it is on the worker's stack, the record is at its end
// (end): the outcome is moved out if somebody may want it, the task's frame and the function are
// destroyed, the strand leaves its scope, a failure goes to the group, whoever awaits the handle is
// made ready, and then the worker has its hold of the group (spare_holds.hpp). The last to let go
// destroys the record.
//
//   C1: `waiter_`: null -> waiter (release CAS, acquire when it fails) or -> ended (acq_rel
//       exchange); the one that comes second sees the other: no end is missed, and the outcome is
//       handed over.
//   C2: `owners_` to zero (acq_rel): the record is destroyed after its last use elsewhere.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/task.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weft::detail {

class group_state;

class child_base;

/// What is done to a spawned task by its types.
struct child_kind {
  /// Makes the task that is to run. Null: the function threw, and the outcome is that.
  promise_base* (*begin)(child_base&) noexcept;
  /// The task has finished, or there is none: destroys it, and keeps its value if it is `wanted`.
  /// Gives what escaped it, or null.
  const std::exception_ptr* (*end)(child_base&, bool wanted) noexcept;
  void (*destroy)(child_base&) noexcept;
};

/// The messages that bring a child to its scheduler from a thread that is none of its workers.
struct start_message : message {};
struct stop_message : message {};

/// The part of a child that does not depend on what it returns. As a node in a queue it has no
/// promise before it has begun.
class child_base : public strand, public suspended, private start_message, private stop_message {
public:
  explicit child_base(const child_kind& kind) noexcept : kind_(&kind) {}

  static void* operator new(std::size_t bytes) { return allocate_record(bytes); }
  static void operator delete(void* p, std::size_t bytes) noexcept { deallocate_record(p, bytes); }

  /// For the handle that will keep it, too. Before it is started.
  void add_handle() noexcept { owners_.store(2, std::memory_order_relaxed); }  // relaxed: unknown
  /// Queues the child as one of the group's. Publishes, unless the caller holds a handle.
  void start(group_state& group) noexcept;
  /// What is to be resumed; null when the function threw, and the child has ended. Thread: the
  /// worker that has taken it from a queue, with no coroutine on its stack.
  promise_base* begin(worker& w) noexcept;
  group_state* group() const noexcept { return group_; }
  /// Its task has finished. Publishes. Thread: the same.
  void end(worker& w) noexcept;

  /// Stops this child alone. Thread: any, while a handle keeps the child.
  void request_stop() noexcept;

  void add_owner() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: owned
  void drop_owner() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) kind_->destroy(*this);  // sync: C2
  }

  /// False when the child has ended already.
  [[nodiscard]] bool try_add_waiter(waiter& w) noexcept {
    waiter* other = nullptr;
    const bool added = waiter_.compare_exchange_strong(other, &w, std::memory_order_release,
                                                       std::memory_order_acquire);  // sync: C1
    if (!added && other != ended()) [[unlikely]]
      w.promise->misused("a second task awaits this join_handle: let one await it and share the "
                         "value");
    return added;
  }
  /// False when the child has ended: the waiter is about to be completed.
  [[nodiscard]] bool try_remove_waiter(waiter& w) noexcept {
    waiter* expected = &w;
    return waiter_.compare_exchange_strong(
        expected, nullptr, std::memory_order_relaxed,
        std::memory_order_relaxed);  // relaxed: nothing handed over
  }
  bool done() const noexcept {
    return waiter_.load(std::memory_order_acquire) == ended();  // sync: C1
  }

protected:
  ~child_base() = default;

private:
  friend class group_state;

  /// Queues it, wherever this is called.
  void launch() noexcept;
  /// What waiter_ holds once the child has ended: compared, never followed.
  static waiter* ended() noexcept;

  const child_kind* const kind_;
  group_state* group_ = nullptr;
  atomic<waiter*> waiter_{nullptr};
  atomic<std::uint32_t> owners_{1};
};

/// The part that a handle knows.
template <class T>
class child : public child_base, public outcome<T> {
public:
  using child_base::child_base;

protected:
  ~child() = default;
};

template <class F, class... Args>
using task_value_t = typename std::invoke_result_t<F, Args...>::value_type;

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

/// A function and its arguments on their way into a child.
template <class F, class... Args>
struct bound_call {
  template <class G, class... As>
  explicit bound_call(G&& g, As&&... as)
      : function(std::forward<G>(g)), args(std::forward<As>(as)...) {}

  F function;
  std::tuple<Args...> args;
};

template <class T, class Call>
class called_child final : public child<T> {
public:
  template <class... Parts>
  explicit called_child(std::in_place_t, Parts&&... parts)
      : child<T>(kind), call_(std::forward<Parts>(parts)...) {
    static_assert(alignof(called_child) <= frame_alignment,
                  "weft: what is spawned, and its arguments, are aligned to 64 bytes at most");
  }
  ~called_child() {}  // end() has destroyed the call

private:
  static promise_base* begin(child_base& c) noexcept {
    auto& self = static_cast<called_child&>(c);
    try {
      task<T> body = std::apply(std::move(self.call_.function), std::move(self.call_.args));
      promise_base& made = task_access::promise(body);
      (void)task_access::release(body);
      return &made;
    } catch (...) {
      self.set_exception(std::current_exception());
      return nullptr;
    }
  }
  static const std::exception_ptr* end(child_base& c, bool wanted) noexcept {
    auto& self = static_cast<called_child&>(c);
    if (self.promise != nullptr) {
      auto& body = static_cast<task_promise<T>&>(*self.promise);
      if (wanted || body.failed()) hand_over<T>(body, self);
      task_access::drop(self.promise);
    }
    std::destroy_at(&self.call_);  // what was captured does not outlive the task
    return self.failed() ? &self.exception() : nullptr;
  }
  static void destroy(child_base& c) noexcept { delete &static_cast<called_child&>(c); }

  static constexpr child_kind kind{&begin, &end, &destroy};

  union {
    Call call_;
  };
};

/// A child of `fn(args...)`: start() has to follow. Errors: bad_alloc, and what moves throw.
template <class F, class... Args>
auto& make_child(F&& fn, Args&&... args) {
  using value = task_value_t<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
  using call = bound_call<std::decay_t<F>, std::unwrap_ref_decay_t<Args>...>;
  child<value>& made = *new called_child<value, call>(std::in_place, std::forward<F>(fn),
                                                      std::forward<Args>(args)...);
  return made;
}

}  // namespace weft::detail

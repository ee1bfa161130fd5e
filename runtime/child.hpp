// SPDX-License-Identifier: MIT
#pragma once
// The root coroutine of a spawned task. Its frame holds the strand, the function and its arguments
// (so that captures and parameters outlive every suspension), the outcome, and a count of who still
// needs it: the running task and, if it was kept, the join_handle.
//
// At its end: the strand leaves its scope, a failure goes to the group, whoever awaits the handle
// is made ready, an outcome that no handle can take any more is destroyed, and then the group is
// released. If no handle is left the coroutine flows off its end and frees its frame by itself,
// else it stays suspended at its end and the last to let go destroys it.
//
//   C1: `waiter_`: null -> waiter (release CAS, acquire when it fails) or -> ended (acq_rel
//       exchange); the one that comes second sees the other: no end is missed, and the outcome is
//       handed over.
//   C2: `owners_` to zero (acq_rel): the frame is destroyed after its last use elsewhere.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/task.hpp"

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>

namespace weft::detail {

class group_state;

class child_base;

/// Brings a child to its scheduler from a thread that is none of its workers.
struct child_message : message {
  child_base* child = nullptr;
};

/// The part of a child that does not depend on what it returns.
class child_base : public promise_base {
public:
  explicit child_base(std::source_location where) noexcept : promise_base(where) {
    node_.promise = this;
  }

  static void* operator new(std::size_t bytes) { return allocate_root_frame(bytes); }
  static void operator delete(void* p, std::size_t bytes) noexcept {
    deallocate_root_frame(p, bytes);
  }

  /// Queues the child as one of the group's. Publishes, unless the caller holds a handle.
  void start(group_state& group) noexcept;

  /// Stops this child alone. Thread: any, while a handle keeps the child.
  void request_stop() noexcept;

  void add_owner() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: owned
  void drop_owner() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) handle().destroy();  // sync: C2
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

  /// Tells the end to all but the group, which it returns: it must not end before the outcome is
  /// gone.
  group_state& finish_child(const std::exception_ptr* failure) noexcept;
  static void release(group_state& group) noexcept;

  /// What the coroutine itself does in the place of drop_owner(): true when the frame is its own
  /// now, to be retired. False: it is the handle's, and may be gone.
  [[nodiscard]] bool drop_owner_at_end() noexcept {
    return owners_.fetch_sub(1, std::memory_order_acq_rel) == 1;  // sync: C2
  }

  bool held_by_handle() const noexcept {
    return owners_.load(std::memory_order_acquire) != 1;  // sync: C2
  }

private:
  friend class group_state;

  /// Queues it, wherever this is called.
  void launch() noexcept;
  /// What waiter_ holds once the child has ended: compared, never followed.
  static waiter* ended() noexcept;

  suspended node_;
  child_message start_message_;
  child_message stop_message_;
  strand line_;
  group_state* group_ = nullptr;
  atomic<waiter*> waiter_{nullptr};
  atomic<std::uint32_t> owners_{1};
};

template <class T>
class child_promise;

template <class T>
struct child {
  using promise_type = child_promise<T>;
  promise_type* promise;
};

template <class T>
class child_promise final : public child_base, public outcome<T> {
public:
  explicit child_promise(std::source_location where = std::source_location::current()) noexcept
      : child_base(where) {}
  child<T> get_return_object() noexcept {
    static_assert(has_usual_place<child_promise>);
    return {this};
  }
  void unhandled_exception() noexcept { this->set_exception(std::current_exception()); }

  struct final_step {
    child_promise* child;

    bool await_ready() noexcept {
      if (child->held_by_handle()) return false;
      group_state& group = child->finish_child(child->failure());
      child->clear();
      release(group);
      return true;
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      child_promise& c = *child;
      group_state& group = c.finish_child(c.failure());
      if (c.drop_owner_at_end()) {
        c.clear();
        current_worker()->retire(c.handle());
      }
      release(group);
    }
    void await_resume() const noexcept {}
  };
  final_step final_suspend() noexcept { return {this}; }

private:
  const std::exception_ptr* failure() const noexcept {
    return this->failed() ? &this->exception() : nullptr;
  }
};

/// Awaits a child's body; from here on the recorder knows the child by its body's name.
template <class T>
struct body_awaiter : operation_tag {
  explicit body_awaiter(task<T>& t) noexcept : body(&t) {}

  task<T>* body;
  promise_base* promise = nullptr;

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
    promise_base& p = task_access::promise(*body);
    strand_of(*promise).set_name(p.line);
    std::coroutine_handle<> next = promise->call(p);
    current_worker()->switch_task(p);
    return next;
  }
  T await_resume() { return task_access::finished(*body).take(); }
};

template <class F, class... Args>
using task_value_t = typename std::invoke_result_t<F, Args...>::value_type;

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

/// A function and its arguments on their way into a child's frame.
template <class F, class... Args>
struct bound_call {
  template <class G, class... As>
  explicit bound_call(G&& g, As&&... as)
      : function(std::forward<G>(g)), args(std::forward<As>(as)...) {}

  F function;
  std::tuple<Args...> args;
};

/// `call` is emptied as soon as the body has ended: what was captured does not outlive the task.
template <class T, class Call>
child<T> run_child(std::optional<Call> call) {
  struct emptied {
    std::optional<Call>* call;
    ~emptied() { call->reset(); }
  };
  const emptied guard{&call};
  task<T> body = std::apply(std::move(call->function), std::move(call->args));
  body_awaiter<T> awaited(body);
  if constexpr (std::is_void_v<T>) {
    co_await awaited;
  } else {
    T value = co_await awaited;
    co_return static_cast<T&&>(value);
  }
}

}  // namespace weft::detail

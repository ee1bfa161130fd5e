// SPDX-License-Identifier: MIT
#pragma once
// async_generator<T>: a coroutine that gives one value after the other, and may await in between
// whatever a task may. It runs on the strand of whoever awaits next(), so each next() is cancelled
// by the scope of its own awaiter; between two values it stands at a co_yield, nobody's.
//
// Destroyed there, it runs the destructors of its locals. Clean-up that has to await stands behind
// the loop, where close() leads: it resumes the body, and the co_yield throws generator_closed.
//
//   async_generator<row> rows(database& db, std::string query) {
//     cursor c = co_await db.open_cursor(query);
//     co_await this_generator::needs_close();
//     std::exception_ptr why;
//     try {
//       while (auto r = co_await c.fetch()) co_yield *std::move(r);
//     } catch (...) {  // generator_closed, cancelled, or what fetch() threw
//       why = std::current_exception();
//     }
//     co_await shield(c.close(), 5s);  // it may be a cancel that ended the loop
//     if (why) std::rethrow_exception(why);
//   }
//
// Whoever consumes it closes it: for_each() and the stages of a pipeline (pipeline.hpp) do.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/generator_promise.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/result.hpp"

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

struct generator_access;

template <class T>
class generator_next : public suspended, public operation_tag {
public:
  using value_type = typename generator_item<T>::type;

  explicit generator_next(generator_promise<T>& g) noexcept : generator_(&g) {}

  bool await_ready() noexcept {
    ended_ = generator_->check_ended();
    return ended_ && current_worker()->spend();
  }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise>) noexcept {
    static_assert(awaits_operations<Promise>);
    if (!ended_) return generator_->resume(*this);
    current_worker()->give_way(*this);  // the budget is gone
    return std::noop_coroutine();
  }
  value_type await_resume() { return generator_->take(); }

  /// The outcome with a cancel as a value; for as_result.
  result<value_type> outcome() {
    try {
      return result<value_type>(std::in_place, generator_->take());
    } catch (const cancelled&) {
      return failure{cancelled_code()};
    }
  }

private:
  generator_promise<T>* generator_;
  bool ended_ = false;
};

class generator_close : public suspended, public operation_tag {
public:
  using value_type = void;

  explicit generator_close(generator_base& g) noexcept : generator_(&g) {}

  bool await_ready() noexcept { return generator_->try_close(); }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise>) noexcept {
    static_assert(awaits_operations<Promise>);
    return generator_->resume(*this);
  }
  void await_resume() { generator_->rethrow(); }

private:
  generator_base* generator_;
};

}  // namespace detail

/// A lazily started coroutine that yields values: `while (auto x = co_await numbers.next())`.
///
/// Shape:    T is a value that can be moved, or an lvalue reference. `co_yield` of an rvalue moves,
///           of an lvalue copies; on g++ 12, name an aggregate before it is yielded.
/// Errors:   bad_alloc from the call that creates it; nothing of it has started then.
/// Thread:   used by one task at a time; runs where its awaiter runs.
/// Lifetime: arguments live in the frame by value, until the generator is destroyed; whatever it
///           takes by reference or captures outlives it. Destroyed unstarted, at its end or at a
///           co_yield it runs plain destructors; while a task awaits its next value, or at a
///           co_yield when it needs_close(), it aborts with its name.
/// Cost:     one frame from the worker's cache; a value costs two transfers and one move.
template <class T>
class [[nodiscard("a weft::async_generator does nothing until it is asked for values: co_await its "
                  "next(), or give it to for_each")]] async_generator {
  static_assert(!std::is_void_v<T> && !std::is_rvalue_reference_v<T>,
                "weft: a generator yields values (T) or refers to them (T&)");

public:
  using promise_type = detail::generator_promise<T>;
  using value_type = T;

  async_generator(async_generator&& other) noexcept
      : promise_(std::exchange(other.promise_, nullptr)) {}
  async_generator& operator=(async_generator&& other) noexcept {
    if (this != &other) {
      reset();
      promise_ = std::exchange(other.promise_, nullptr);
    }
    return *this;
  }
  ~async_generator() { reset(); }

  /// False after it has been moved from.
  explicit operator bool() const noexcept { return promise_ != nullptr; }

  /// Runs the body to its next co_yield.
  ///
  /// Returns:  optional<T> with the value; for references a pointer, valid until the generator is
  ///           resumed or destroyed. nullopt (nullptr) when the body has ended, each time again.
  /// Errors:   what escapes the body, once: it has ended then. So it has when a cancel or a timeout
  ///           ended one of its awaits, unless the body catches that. Called while another task
  ///           awaits: aborts.
  /// Lifetime: the generator outlives the co_await.
  [[nodiscard]] detail::generator_next<T> next() noexcept {
    return detail::generator_next<T>(promise());
  }

  /// Ends the generator: the co_yield that it stands at throws generator_closed, its clean-up
  /// awaits. An unstarted one is never run. Again, or at its end: nothing happens.
  ///
  /// Errors:   what escapes the body otherwise. A stopped scope does not refuse the close, but the
  ///           awaits inside it.
  /// Lifetime: the generator outlives the co_await.
  [[nodiscard]] detail::generator_close close() noexcept {
    return detail::generator_close(promise());
  }

  /// A message in the place of a crash.
  template <class U = T>
  std::suspend_never operator co_await() && noexcept {
    static_assert(!std::same_as<U, U>,
                  "weft: a generator gives one value after the other: co_await its next()");
    return {};
  }
  template <class U = T>
  std::suspend_never operator co_await() & noexcept {
    static_assert(!std::same_as<U, U>,
                  "weft: a generator gives one value after the other: co_await its next()");
    return {};
  }

private:
  friend promise_type;
  friend detail::generator_access;

  explicit async_generator(promise_type& p) noexcept : promise_(&p) {}

  promise_type& promise() const noexcept {
    WEFT_ASSERT(promise_ != nullptr, "this generator is empty: it was moved from");
    return *promise_;
  }
  void reset() noexcept {
    if (promise_ == nullptr) return;
    promise_->check_destroyed();
    promise_->handle().destroy();
    promise_ = nullptr;
  }

  promise_type* promise_;
};

namespace detail {

/// What the stages of a pipeline may do with a generator that users may not.
struct generator_access {
  /// `stage` holds another generator, and begins with enter_stage: close() has to reach that one.
  template <class T>
  static async_generator<T> closing_source(async_generator<T> stage) noexcept {
    stage.promise_->closes_source = true;
    return stage;
  }
};

/// A step that a generator takes at once, and no task.
template <auto Step>
struct generator_step : operation_tag {
  promise_base* promise = nullptr;

  bool await_ready() const noexcept { return true; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise>) const noexcept {
    static_assert(std::derived_from<Promise, generator_base>,
                  "weft: this_generator is for the body of a weft::async_generator");
  }
  void await_resume() const { (static_cast<generator_base&>(*promise).*Step)(); }
};

using enter_stage = generator_step<&generator_base::throw_if_closing>;

}  // namespace detail

namespace this_generator {

/// From here on the generator that awaits this must not be destroyed at a co_yield: it aborts with
/// its name. For bodies whose clean-up awaits.
[[nodiscard]] inline auto needs_close() noexcept {
  return detail::generator_step<&detail::generator_base::set_needs_close>();
}

}  // namespace this_generator

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// What an async_generator has in its frame beside what every coroutine has: where it stands, what
// it yields, and whether it is being closed. Control goes to its body by resume(), on the strand of
// whoever awaits a value, and back by a co_yield or the end of the body; in between it has no
// awaiter. A value is not moved on its way: the promise points to where it lies in the body's
// frame.

#include "weft/runtime/promise.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/worker.hpp"

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <utility>

namespace weft {

/// Thrown out of a co_yield of a generator that is being closed. Not a std::exception, so that no
/// `catch (std::exception&)` swallows it on its way out of the body; nobody else sees it.
struct generator_closed {};

template <class T>
class async_generator;

namespace detail {

/// The part of a generator that does not depend on what it yields.
class generator_base : public promise_base {
public:
  using promise_base::promise_base;

  void return_void() const noexcept {}
  void unhandled_exception() noexcept;

  /// Gives control back to whoever awaits next() or close().
  struct yield_step {
    generator_base* generator;

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
      return generator->give_back(state::yielded);
    }
    void await_resume() const { generator->throw_if_closing(); }
  };
  struct end_step {
    generator_base* generator;

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
      return generator->give_back(state::ended);
    }
    void await_resume() const noexcept {}
  };
  end_step final_suspend() noexcept { return {this}; }

  /// True when it has come to its end: next() does nothing then.
  bool check_ended() const noexcept {
    if (state_ == state::running) [[unlikely]]
      misused("next() or close() was called while another task awaits a value of this generator");
    return state_ == state::ended;
  }
  /// Runs the body on the consumer's strand, to its next co_yield or its end. Without budget from
  /// the worker's loop, after it has let others run.
  std::coroutine_handle<> resume(suspended& consumer) noexcept {
    worker& w = *current_worker();
    state_ = state::running;
    if (w.spend()) [[likely]]
      return consumer.promise->call(*this);
    awaiter = consumer.promise;
    strand_ = awaiter->strand_;
    consumer.promise = this;
    w.give_way(consumer);
    return std::noop_coroutine();
  }

  /// The first half of close(): true when there is no body to be resumed.
  bool try_close() noexcept {
    const bool ended = check_ended();
    closing_ = true;
    if (!ended && (state_ == state::yielded || closes_source)) return false;
    state_ = state::ended;
    return true;
  }
  void throw_if_closing() const {
    if (closing_) throw generator_closed();
  }
  void rethrow() {
    if (exception_ != nullptr) std::rethrow_exception(std::exchange(exception_, nullptr));
  }

  void set_needs_close() noexcept { needs_close_ = true; }
  /// Ends the program, naming the generator, when it must not be destroyed now.
  void check_destroyed() const noexcept {
    if (state_ == state::running) [[unlikely]]
      misused("this generator was destroyed while a task awaits a value of it: join that first");
    if (state_ == state::yielded && needs_close_) [[unlikely]]
      misused("this generator was destroyed before its clean-up could await: consume it with "
              "for_each, or co_await its close()");
  }

  /// It holds a generator that close() has to reach even if the body was never started.
  bool closes_source = false;

protected:
  yield_step yield_at(std::source_location where) noexcept {
    line = where;
    if (closing_) [[unlikely]]
      misused("this generator went on yielding after generator_closed: leave the loop then");
    return {this};
  }

private:
  enum class state : unsigned char { unstarted, running, yielded, ended };

  std::coroutine_handle<> give_back(state s) noexcept {
    state_ = s;
    return current_worker()->hop(std::exchange(awaiter, nullptr)->handle());
  }
  state state_ = state::unstarted;
  bool closing_ = false;
  bool needs_close_ = false;
  std::exception_ptr exception_;
};

/// What next() gives: optional<T>, a pointer for references.
template <class T>
struct generator_item {
  using type = std::optional<T>;
};
template <class T>
struct generator_item<T&> {
  using type = T*;
};

template <class T>
class generator_promise final : public generator_base {
public:
  explicit generator_promise(std::source_location where = std::source_location::current()) noexcept
      : generator_base(where) {}

  async_generator<T> get_return_object() noexcept {
    static_assert(has_usual_place<generator_promise>);
    return async_generator<T>(*this);
  }

  yield_step yield_value(T&& v,
                         std::source_location where = std::source_location::current()) noexcept {
    value_ = std::addressof(v);
    copied_ = false;
    return yield_at(where);
  }
  yield_step yield_value(const T& v,
                         std::source_location where = std::source_location::current()) noexcept {
    static_assert(std::copy_constructible<T>,
                  "weft: this type cannot be copied: write co_yield std::move(value)");
    value_ = std::addressof(v);
    copied_ = true;
    return yield_at(where);
  }

  std::optional<T> take() {
    rethrow();
    const T* const v = std::exchange(value_, nullptr);
    if (v == nullptr) return std::nullopt;
    if constexpr (std::copy_constructible<T>)
      if (copied_) return std::optional<T>(std::in_place, *v);
    return std::optional<T>(std::in_place, std::move(*const_cast<T*>(v)));
  }

private:
  const T* value_ = nullptr;  // what the body yields, where it lies
  bool copied_ = false;       // it stays the body's
};

template <class T>
class generator_promise<T&> final : public generator_base {
public:
  explicit generator_promise(std::source_location where = std::source_location::current()) noexcept
      : generator_base(where) {}

  async_generator<T&> get_return_object() noexcept {
    static_assert(has_usual_place<generator_promise>);
    return async_generator<T&>(*this);
  }

  yield_step yield_value(T& v,
                         std::source_location where = std::source_location::current()) noexcept {
    value_ = std::addressof(v);
    return yield_at(where);
  }

  T* take() {
    rethrow();
    return std::exchange(value_, nullptr);
  }

private:
  T* value_ = nullptr;
};

}  // namespace detail

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// What a coroutine left behind: nothing yet, a value, or an exception. The part of a promise that
// depends on T; `take` hands the value out once.

#include <concepts>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class T>
class outcome {
public:
  outcome() noexcept {}
  outcome(const outcome&) = delete;
  outcome& operator=(const outcome&) = delete;
  ~outcome() { clear(); }

  template <class U = T>
    requires std::convertible_to<U, T>
  void return_value(U&& v) noexcept(std::is_nothrow_constructible_v<T, U>) {
    std::construct_at(std::addressof(value_), std::forward<U>(v));
    state_ = state::value;
  }
  void set_exception(std::exception_ptr e) noexcept {
    if (state_ == state::value) std::destroy_at(std::addressof(value_));
    std::construct_at(std::addressof(exception_), std::move(e));
    state_ = state::exception;
  }

  bool failed() const noexcept { return state_ == state::exception; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  T take() {
    if (state_ == state::exception) std::rethrow_exception(exception_);
    return std::move(value_);
  }
  /// Destroys what nobody will take.
  void clear() noexcept {
    if (state_ == state::value) std::destroy_at(std::addressof(value_));
    if (state_ == state::exception) std::destroy_at(std::addressof(exception_));
    state_ = state::none;
  }

private:
  enum class state : unsigned char { none, value, exception };

  union {
    T value_;
    std::exception_ptr exception_;
  };
  state state_ = state::none;
};

template <class T>
class outcome<T&> {
public:
  void return_value(T& v) noexcept { value_ = std::addressof(v); }
  void set_exception(std::exception_ptr e) noexcept { exception_ = std::move(e); }

  bool failed() const noexcept { return exception_ != nullptr; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  T& take() {
    if (exception_ != nullptr) std::rethrow_exception(exception_);
    return *value_;
  }
  void clear() noexcept { exception_ = nullptr; }

private:
  T* value_ = nullptr;
  std::exception_ptr exception_;
};

template <>
class outcome<void> {
public:
  void return_void() const noexcept {}
  void set_exception(std::exception_ptr e) noexcept { exception_ = std::move(e); }

  bool failed() const noexcept { return exception_ != nullptr; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  void take() {
    if (exception_ != nullptr) std::rethrow_exception(exception_);
  }
  void clear() noexcept { exception_ = nullptr; }

private:
  std::exception_ptr exception_;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once

// `result<T>`: a T, or the std::error_code that says why there is none. The interface is the one of
// C++23's std::expected<T, std::error_code>, with three differences:
//   - errors are made with `failure{code}`, so that even a result<std::error_code> is never
//   ambiguous;
//   - T may be a reference: the result then refers, and never to a temporary;
//   - misuse is no undefined behaviour: `*r` without a value aborts with a message, `error()` with
//   one is
//     the code for success.
// It is what `as_result(operation)` gives; no function here throws but `value()`.

#include "weft/runtime/assert.hpp"
#include "weft/runtime/detail/result_storage.hpp"
#include "weft/runtime/error.hpp"

#include <concepts>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// An error on its way into a result: `return failure{std::errc::timed_out};`
class [[nodiscard]] failure {
public:
  explicit failure(std::error_code code) noexcept : error_(code) {}
  explicit failure(std::errc code) noexcept : error_(std::make_error_code(code)) {}

  [[nodiscard]] std::error_code error() const noexcept { return error_; }

  friend bool operator==(const failure&, const failure&) noexcept = default;

private:
  std::error_code error_;
};

template <class T>
class result;

namespace detail {

struct nothing {};

template <class T>
using stored_result =
    std::conditional_t<std::is_void_v<T>, nothing,
                       std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

// What a value of a result<T> may be made from. References bind to lvalues of their kind only.
template <class T, class U>
concept result_value =
    !std::is_void_v<T> && !is_result<std::remove_cvref_t<U>> &&
    !std::same_as<std::remove_cvref_t<U>, failure> &&
    !std::same_as<std::remove_cvref_t<U>, std::in_place_t> &&
    (std::is_reference_v<T>
         ? std::is_lvalue_reference_v<U> &&
               std::is_convertible_v<std::remove_reference_t<U>*, std::remove_reference_t<T>*>
         : std::is_constructible_v<T, U>);

}  // namespace detail

/// A value or the error that is there instead; T may be void or an lvalue reference.
template <class T>
class [[nodiscard]] result : private detail::result_storage<detail::stored_result<T>> {
  static_assert(!std::is_rvalue_reference_v<T>, "a result refers to lvalues: use T or T&");
  static_assert(!std::same_as<std::remove_cv_t<T>, failure>,
                "failure is for errors: use std::error_code");

  using stored = detail::stored_result<T>;
  using base = detail::result_storage<stored>;
  using base::error_, base::has_value_, base::value_;

public:
  using value_type = T;
  using error_type = std::error_code;

  constexpr result() noexcept(std::is_nothrow_default_constructible_v<stored>)
    requires std::is_void_v<T> || std::is_default_constructible_v<T>
      : base(std::in_place) {}

  template <class U = T>
    requires(!std::is_reference_v<T>) && detail::result_value<T, U&&>
  constexpr explicit(!std::is_convertible_v<U&&, T>) result(U&& value)
      : base(std::in_place, std::forward<U>(value)) {}

  template <class U>
    requires std::is_reference_v<T> && detail::result_value<T, U&&>
  constexpr result(U&& value) noexcept : base(std::in_place, std::addressof(value)) {}

  template <class... Args>
    requires(!std::is_reference_v<T>) && std::constructible_from<stored, Args...>
  constexpr explicit result(std::in_place_t, Args&&... args)
      : base(std::in_place, std::forward<Args>(args)...) {}

  result(failure why) noexcept : base(why.error()) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value_; }

  /// Success (code 0) when there is a value.
  [[nodiscard]] std::error_code error() const noexcept {
    return has_value_ ? std::error_code() : error_;
  }

  /// Throws what the operation would have thrown: `cancelled` or std::system_error.
  constexpr decltype(auto) value() & { return checked(*this); }
  constexpr decltype(auto) value() const& { return checked(*this); }
  constexpr decltype(auto) value() && { return checked(std::move(*this)); }

  constexpr decltype(auto) operator*() & noexcept { return asserted(*this); }
  constexpr decltype(auto) operator*() const& noexcept { return asserted(*this); }
  constexpr decltype(auto) operator*() && noexcept { return asserted(std::move(*this)); }

  constexpr auto* operator->() noexcept
    requires(!std::is_void_v<T>)
  {
    return std::addressof(asserted(*this));
  }
  constexpr auto* operator->() const noexcept
    requires(!std::is_void_v<T>)
  {
    return std::addressof(asserted(*this));
  }

  template <class U>
    requires(!std::is_void_v<T>)
  [[nodiscard]] constexpr std::remove_cvref_t<T> value_or(U&& other) const& {
    return has_value_ ? get(*this) : static_cast<std::remove_cvref_t<T>>(std::forward<U>(other));
  }
  template <class U>
    requires(!std::is_void_v<T>)
  [[nodiscard]] constexpr std::remove_cvref_t<T> value_or(U&& other) && {
    return has_value_ ? get(std::move(*this))
                      : static_cast<std::remove_cvref_t<T>>(std::forward<U>(other));
  }

  /// `function(value)`, which gives a result of its own; an error stays as it is.
  template <class Function>
  constexpr auto and_then(Function&& function) & {
    return chain(*this, std::forward<Function>(function));
  }
  template <class Function>
  constexpr auto and_then(Function&& function) const& {
    return chain(*this, std::forward<Function>(function));
  }
  template <class Function>
  constexpr auto and_then(Function&& function) && {
    return chain(std::move(*this), std::forward<Function>(function));
  }

  /// A result of what `function(value)` gives; an error stays as it is.
  template <class Function>
  constexpr auto transform(Function&& function) & {
    return map(*this, std::forward<Function>(function));
  }
  template <class Function>
  constexpr auto transform(Function&& function) const& {
    return map(*this, std::forward<Function>(function));
  }
  template <class Function>
  constexpr auto transform(Function&& function) && {
    return map(std::move(*this), std::forward<Function>(function));
  }

  /// The value as it is, or `function(error)`, which gives a result of the same type.
  template <class Function>
  constexpr result or_else(Function&& function) const& {
    return has_value_ ? *this : std::forward<Function>(function)(error_);
  }
  template <class Function>
  constexpr result or_else(Function&& function) && {
    return has_value_ ? std::move(*this) : std::forward<Function>(function)(error_);
  }

  template <class U>
    requires(std::is_void_v<T> == std::is_void_v<U>)
  friend constexpr bool operator==(const result& left, const result<U>& right) {
    if (left.has_value() != right.has_value()) {
      return false;
    }
    if (!left.has_value()) {
      return left.error() == right.error();
    }
    if constexpr (std::is_void_v<T>) {
      return true;
    } else {
      return *left == *right;
    }
  }
  template <class U>
    requires(!std::is_void_v<T> && !detail::is_result<U> && !std::same_as<U, failure>)
  friend constexpr bool operator==(const result& left, const U& right) {
    return left.has_value() && *left == right;
  }
  friend bool operator==(const result& left, const failure& right) noexcept {
    return !left.has_value() && left.error() == right.error();
  }

private:
  // With the value category and constness of `self`, as std::forward would give a member.
  template <class Self>
  static constexpr decltype(auto) get(Self&& self) noexcept {
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*self.value_);
    } else if constexpr (!std::is_void_v<T>) {
      return (std::forward<Self>(self).value_);
    }
  }

  template <class Self>
  static constexpr decltype(auto) checked(Self&& self) {
    if (!self.has_value_) [[unlikely]] {
      throw_error(self.error_);
    }
    return get(std::forward<Self>(self));
  }

  template <class Self>
  static constexpr decltype(auto) asserted(Self&& self) noexcept {
    WEFT_ASSERT(self.has_value_,
                "there is no value to read: test the result first, or call value()");
    return get(std::forward<Self>(self));
  }

  template <class Function, class Self>
  static constexpr decltype(auto) call(Function&& function, Self&& self) {
    if constexpr (std::is_void_v<T>) {
      return std::forward<Function>(function)();
    } else {
      return std::forward<Function>(function)(get(std::forward<Self>(self)));
    }
  }

  template <class Self, class Function>
  static constexpr auto chain(Self&& self, Function&& function) {
    using next = std::remove_cvref_t<decltype(call(std::forward<Function>(function),
                                                   std::forward<Self>(self)))>;
    static_assert(detail::is_result<next>, "and_then's function returns a result");
    if (!self.has_value_) {
      return next(failure{self.error_});
    }
    return next(call(std::forward<Function>(function), std::forward<Self>(self)));
  }

  template <class Self, class Function>
  static constexpr auto map(Self&& self, Function&& function) {
    using value = std::remove_cv_t<decltype(call(std::forward<Function>(function),
                                                 std::forward<Self>(self)))>;
    if (!self.has_value_) {
      return result<value>(failure{self.error_});
    }
    if constexpr (std::is_void_v<value>) {
      call(std::forward<Function>(function), std::forward<Self>(self));
      return result<value>();
    } else if constexpr (std::is_reference_v<value>) {
      return result<value>(call(std::forward<Function>(function), std::forward<Self>(self)));
    } else {
      return result<value>(std::in_place,
                           call(std::forward<Function>(function), std::forward<Self>(self)));
    }
  }
};

static_assert(std::is_trivially_copyable_v<result<int>> &&
              std::is_trivially_copyable_v<result<void>>);
static_assert(sizeof(result<void*>) <= 3 * sizeof(void*));

}  // namespace weft

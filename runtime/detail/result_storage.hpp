// SPDX-License-Identifier: MIT
#pragma once

// What a `result<T>` holds: a value of type Stored, or a std::error_code in the same place. Copies,
// moves and dies as trivially as Stored does.

#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class Stored>
class result_storage {
  static constexpr bool dies_trivially = std::is_trivially_destructible_v<Stored>;
  static constexpr bool copies_trivially = std::is_trivially_copy_constructible_v<Stored> &&
                                           std::is_trivially_copy_assignable_v<Stored> &&
                                           dies_trivially;
  static constexpr bool moves_trivially = std::is_trivially_move_constructible_v<Stored> &&
                                          std::is_trivially_move_assignable_v<Stored> &&
                                          dies_trivially;
  static constexpr bool copies = std::is_copy_constructible_v<Stored>;
  static constexpr bool moves = std::is_move_constructible_v<Stored>;
  static constexpr bool moves_noexcept = std::is_nothrow_move_constructible_v<Stored>;

protected:
  template <class... Args>
  constexpr explicit result_storage(std::in_place_t, Args&&... args) noexcept(
      std::is_nothrow_constructible_v<Stored, Args...>)
      : value_(std::forward<Args>(args)...), has_value_(true) {}

  explicit result_storage(std::error_code error) noexcept : error_(error), has_value_(false) {}

  constexpr result_storage(const result_storage&)
    requires copies_trivially
  = default;
  constexpr result_storage(const result_storage& other)
    requires copies && (!copies_trivially)
      : has_value_(other.has_value_) {
    construct_from(other);
  }
  constexpr result_storage(result_storage&&)
    requires moves_trivially
  = default;
  constexpr result_storage(result_storage&& other) noexcept(moves_noexcept)
    requires moves && (!moves_trivially)
      : has_value_(other.has_value_) {
    construct_from(std::move(other));
  }

  constexpr result_storage& operator=(const result_storage&)
    requires copies_trivially
  = default;
  constexpr result_storage& operator=(const result_storage& other)
    requires copies && std::is_copy_assignable_v<Stored> && (!copies_trivially)
  {
    assign_from(other);
    return *this;
  }
  constexpr result_storage& operator=(result_storage&&)
    requires moves_trivially
  = default;
  constexpr result_storage&
  operator=(result_storage&& other) noexcept(moves_noexcept &&
                                             std::is_nothrow_move_assignable_v<Stored>)
    requires moves && std::is_move_assignable_v<Stored> && (!moves_trivially)
  {
    assign_from(std::move(other));
    return *this;
  }

  constexpr ~result_storage()
    requires dies_trivially
  = default;
  constexpr ~result_storage()
    requires(!dies_trivially)
  {
    if (has_value_) {
      std::destroy_at(std::addressof(value_));
    }
  }

  union {
    Stored value_;
    std::error_code error_;
  };
  bool has_value_;

private:
  template <class Other>
  constexpr void construct_from(Other&& other) {
    if (has_value_) {
      std::construct_at(std::addressof(value_), std::forward<Other>(other).value_);
    } else {
      std::construct_at(std::addressof(error_), other.error_);
    }
  }

  template <class Other>
  constexpr void assign_from(Other&& other) {
    if (has_value_ && other.has_value_) {
      value_ = std::forward<Other>(other).value_;
    } else if (has_value_) {
      std::destroy_at(std::addressof(value_));
      std::construct_at(std::addressof(error_), other.error_);
      has_value_ = false;
    } else if (other.has_value_) {
      replace_error(std::forward<Other>(other).value_);
      has_value_ = true;
    } else {
      error_ = other.error_;
    }
  }

  // A constructor that throws leaves the error that was there.
  template <class Value>
  void replace_error(Value&& value) {
    const std::error_code error = error_;
    try {
      std::construct_at(std::addressof(value_), std::forward<Value>(value));
    } catch (...) {
      std::construct_at(std::addressof(error_), error);
      throw;
    }
  }
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// What a coroutine left behind: nothing yet, a value, or an exception. The part of a promise that
// depends on T; `take` hands the value out once.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// Room for a T, or an exception in its place. A promise with a T that is aligned more strictly
/// than frames are by themselves would lie elsewhere in its frame than others do
/// (promise_base::handle()): then the room has some to spare.
template <class T>
union outcome_room {
  static constexpr std::size_t usual_alignment = 2 * sizeof(void*);
  static constexpr bool usual = alignof(T) <= usual_alignment;

  outcome_room() noexcept {}
  ~outcome_room() {}

  T& value() noexcept {
    if constexpr (usual) {
      return in_place;
    } else {
      const auto at = reinterpret_cast<std::uintptr_t>(bytes);
      return *reinterpret_cast<T*>((at + alignof(T) - 1) & ~(alignof(T) - 1));
    }
  }

  std::conditional_t<usual, T, char> in_place;
  std::byte bytes[usual ? 1 : sizeof(T) + alignof(T) - 1];
  std::exception_ptr exception;
};

/// Out of line: a copy of the pointer is much code at each await, and keeps registers.
[[noreturn, gnu::cold, gnu::noinline]] inline void rethrow(const std::exception_ptr& e) {
  std::rethrow_exception(e);
}

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
    std::construct_at(std::addressof(room_.value()), std::forward<U>(v));
    state_ = state::value;
  }
  void set_exception(std::exception_ptr e) noexcept {
    if (state_ == state::value) std::destroy_at(std::addressof(room_.value()));
    std::construct_at(std::addressof(room_.exception), std::move(e));
    state_ = state::exception;
  }

  bool failed() const noexcept { return state_ == state::exception; }
  const std::exception_ptr& exception() const noexcept { return room_.exception; }
  T take() {
    if (state_ == state::exception) [[unlikely]]
      rethrow(room_.exception);
    return std::move(room_.value());
  }
  /// Destroys what nobody will take.
  void clear() noexcept {
    if (state_ == state::value) std::destroy_at(std::addressof(room_.value()));
    if (state_ == state::exception) [[unlikely]]
      std::destroy_at(std::addressof(room_.exception));
    state_ = state::none;
  }

private:
  enum class state : unsigned char { none, value, exception };

  outcome_room<T> room_;
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
    if (exception_ != nullptr) [[unlikely]]
      rethrow(exception_);
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
    if (exception_ != nullptr) [[unlikely]]
      rethrow(exception_);
  }
  void clear() noexcept { exception_ = nullptr; }

private:
  std::exception_ptr exception_;
};

/// Moves what a coroutine left behind; what a move throws comes in its place.
template <class T>
void hand_over(outcome<T>& from, outcome<T>& to) noexcept {
  if (from.failed()) return to.set_exception(from.exception());
  try {
    if constexpr (!std::is_void_v<T>) to.return_value(from.take());
  } catch (...) {
    to.set_exception(std::current_exception());
  }
}

}  // namespace weft::detail

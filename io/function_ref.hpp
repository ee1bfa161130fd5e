// SPDX-License-Identifier: MIT
#pragma once
// A callback as an option: refers to a callable of the user's, and is trivially destructible, so
// that option structs stay safe inside a co_await with every compiler. The interface is the one of
// std::function_ref (C++26), plus an empty state.

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace weft {

template <class Signature>
class function_ref;

/// A callable that is referred to, or nothing.
///
/// Shape:    made from any callable; a plain function or its address is kept by value.
/// Lifetime: the callable outlives every call. A temporary one lives until the co_await that it
///           stands in is over.
template <class R, class... Args>
class function_ref<R(Args...)> {
public:
  constexpr function_ref() noexcept = default;

  template <class F>
    requires(std::is_function_v<F> && std::is_invocable_r_v<R, F&, Args...>)
  function_ref(F* function) noexcept
      : target_{.function = reinterpret_cast<void (*)()>(function)},
        call_([](target t, Args... args) -> R {
          return static_cast<R>(reinterpret_cast<F*>(t.function)(std::forward<Args>(args)...));
        }) {}

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, function_ref> &&
             !std::is_function_v<std::remove_pointer_t<std::remove_cvref_t<F>>> &&
             std::is_invocable_r_v<R, F&, Args...>)
  function_ref(F&& callable) noexcept
      : target_{.object = const_cast<void*>(static_cast<const void*>(std::addressof(callable)))},
        call_([](target t, Args... args) -> R {
          return static_cast<R>(
              (*static_cast<std::remove_reference_t<F>*>(t.object))(std::forward<Args>(args)...));
        }) {}

  explicit operator bool() const noexcept { return call_ != nullptr; }

  /// Not when it is empty.
  R operator()(Args... args) const { return call_(target_, std::forward<Args>(args)...); }

private:
  union target {
    void* object = nullptr;
    void (*function)();
  };

  target target_;
  R (*call_)(target, Args...) = nullptr;
};

static_assert(std::is_trivially_destructible_v<function_ref<void()>>);

}  // namespace weft

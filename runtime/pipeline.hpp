// SPDX-License-Identifier: MIT
#pragma once
// Pipelines of generators: `lines | transform(parse) | filter(is_wanted) | take(10)`. Each stage is
// a generator that owns the one before it, and closes it when it ends or is closed itself. Nothing
// is read ahead: a value is asked for when the last stage is. merge.hpp joins several into one.

#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

struct pipeline_stage {};

template <class R>
struct awaited {
  using type = R;
};
template <class R>
struct awaited<task<R>> {
  using type = R;
};
/// What a function of a stage gives for a value: itself, or by way of a task.
template <class F, class... Args>
using stage_result_t = typename awaited<std::invoke_result_t<F&, Args...>>::type;
template <class F, class... Args>
inline constexpr bool gives_task = is_task<std::invoke_result_t<F&, Args...>>;

template <class F>
constexpr void check_stage() noexcept {
  static_assert(safe_as_temporary<F>,
                "weft: name the lambda first (auto parse = [...]; lines | transform(parse)): g++ "
                "12 destroys the captures of a temporary lambda twice in a co_await");
}

/// The end of every stage. What ended it goes before what closing throws.
template <class T>
task<> close_source(async_generator<T>& source, std::exception_ptr failed) {
  try {
    generator_close closing = source.close();
    co_await closing;
  } catch (...) {
    if (failed == nullptr) failed = std::current_exception();
  }
  if (failed != nullptr) std::rethrow_exception(failed);
}

template <class U, class T, class F>
async_generator<U> transformed(async_generator<T> source, F function) {
  std::exception_ptr failed;
  try {
    enter_stage entered;
    co_await entered;
    for (;;) {
      generator_next<T> next = source.next();
      auto item = co_await next;
      if (!item) break;
      if constexpr (gives_task<F, T&&>) {
        auto step = function(static_cast<T&&>(*item));
        U value = co_await std::move(step);
        co_yield std::move(value);
      } else {
        U value = function(static_cast<T&&>(*item));
        co_yield std::move(value);
      }
    }
  } catch (...) {
    failed = std::current_exception();
  }
  task<> end = close_source(source, std::move(failed));
  co_await std::move(end);
}

template <class T, class F>
async_generator<T> filtered(async_generator<T> source, F predicate) {
  using seen = const std::remove_reference_t<T>&;
  std::exception_ptr failed;
  try {
    enter_stage entered;
    co_await entered;
    for (;;) {
      generator_next<T> next = source.next();
      auto item = co_await next;
      if (!item) break;
      bool wanted = false;
      if constexpr (gives_task<F, seen>) {
        auto step = predicate(static_cast<seen>(*item));
        wanted = co_await std::move(step);
      } else {
        wanted = predicate(static_cast<seen>(*item));
      }
      if (wanted) co_yield static_cast<T&&>(*item);
    }
  } catch (...) {
    failed = std::current_exception();
  }
  task<> end = close_source(source, std::move(failed));
  co_await std::move(end);
}

template <class T>
async_generator<T> taken(async_generator<T> source, std::size_t left) {
  std::exception_ptr failed;
  try {
    enter_stage entered;
    co_await entered;
    for (; left != 0; --left) {
      generator_next<T> next = source.next();
      auto item = co_await next;
      if (!item) break;
      co_yield static_cast<T&&>(*item);
    }
  } catch (...) {
    failed = std::current_exception();
  }
  task<> end = close_source(source, std::move(failed));
  co_await std::move(end);
}

template <class T, class Body>
task<> consume(async_generator<T> source, Body body) {
  std::exception_ptr failed;
  try {
    for (;;) {
      generator_next<T> next = source.next();
      auto item = co_await next;
      if (!item) break;
      if constexpr (gives_task<Body, T&&>) {
        task<> step = body(static_cast<T&&>(*item));
        co_await std::move(step);
      } else {
        body(static_cast<T&&>(*item));
      }
    }
  } catch (...) {
    failed = std::current_exception();
  }
  task<> end = close_source(source, std::move(failed));
  co_await std::move(end);
}

template <class F>
class transform_stage : public pipeline_stage {
public:
  explicit transform_stage(F f) : function_(std::move(f)) {}

  template <class T>
  auto apply(async_generator<T> source) && {
    using value = std::remove_cvref_t<stage_result_t<F, T&&>>;
    static_assert(!std::is_void_v<value>,
                  "weft: transform's function gives a value; for_each is for those that give none");
    return transformed<value, T, F>(std::move(source), std::move(function_));
  }

private:
  F function_;
};

template <class F>
class filter_stage : public pipeline_stage {
public:
  explicit filter_stage(F f) : predicate_(std::move(f)) {}

  template <class T>
  auto apply(async_generator<T> source) && {
    return filtered<T, F>(std::move(source), std::move(predicate_));
  }

private:
  F predicate_;
};

class take_stage : public pipeline_stage {
public:
  explicit take_stage(std::size_t count) noexcept : count_(count) {}

  template <class T>
  auto apply(async_generator<T> source) && {
    return taken<T>(std::move(source), count_);
  }

private:
  std::size_t count_;
};

}  // namespace detail

/// A stage that gives `function(value)` for each value.
///
/// Shape:    function takes T&& (T& of a generator of references) and returns a value or a task of
///           one; a named lambda, or a temporary one whose captures are trivially destructible (g++
///           12 destroys other ones twice).
/// Errors:   what the function throws ends the pipeline.
/// Lifetime: the function is copied (moved, when it is a temporary) into the stage's frame.
/// Cost:     one frame, and one for each task that the function returns.
template <class F>
[[nodiscard]] auto transform(F&& function) {
  detail::check_stage<F>();
  return detail::transform_stage<std::decay_t<F>>(std::forward<F>(function));
}

/// A stage that gives the values for which `predicate(value)` is true.
///
/// Shape:    predicate takes const T& and returns bool or task<bool>; otherwise as transform.
template <class F>
[[nodiscard]] auto filter(F&& predicate) {
  detail::check_stage<F>();
  return detail::filter_stage<std::decay_t<F>>(std::forward<F>(predicate));
}

/// A stage that ends after `count` values, and closes its source without asking for another.
[[nodiscard]] inline auto take(std::size_t count) noexcept { return detail::take_stage(count); }

/// Leads the values of `source` through a stage: `lines | filter(is_wanted)`.
///
/// Returns:  the stage as an async_generator, which owns the source: closing it closes the source.
/// Errors:   bad_alloc.
template <class T, std::derived_from<detail::pipeline_stage> Stage>
[[nodiscard]] auto operator|(async_generator<T>&& source, Stage stage) {
  return detail::generator_access::closing_source(std::move(stage).apply(std::move(source)));
}
template <class T, std::derived_from<detail::pipeline_stage> Stage>
auto operator|(async_generator<T>&, Stage) {
  static_assert(!std::same_as<T, T>,
                "weft: a pipeline owns its source: write std::move(source) | ...");
}

/// Calls `body(value)` for each value of `source`, and closes the source at the end, also when body
/// throws or is cancelled.
///
/// Shape:    body takes T&& (T& of a generator of references) and returns nothing or a task<>; a
///           named lambda, or a temporary one whose captures are trivially destructible (g++ 12
///           destroys other ones twice).
/// Errors:   what escapes the source or the body; what closing throws then is dropped.
/// Thread:   one value after the other, on the strand of whoever awaits it.
/// Lifetime: the body is copied (moved, when it is a temporary) into the frame.
/// Cost:     two frames, and one for each task that the body returns.
template <class T, class Body>
task<> for_each(async_generator<T> source, Body&& body) {
  static_assert(detail::safe_as_temporary<Body>,
                "weft: name the lambda first (auto body = [...]; co_await for_each(lines, body)): "
                "g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  static_assert(std::is_void_v<detail::stage_result_t<std::decay_t<Body>, T&&>>,
                "weft: the body of for_each returns nothing or a task<>: take() ends it early");
  return detail::consume<T, std::decay_t<Body>>(std::move(source), std::forward<Body>(body));
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/runtime/result.hpp"

#include <doctest/doctest.h>

#include <coroutine>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace result_test {

using weft::failure;
using weft::result;

namespace {

const std::error_code broken = std::make_error_code(std::errc::broken_pipe);
const std::error_code cancelled = weft::cancelled_code();

// Counts instances; throws from its copy constructor when told to.
struct counted {
  static inline int alive = 0;
  static inline bool copy_throws = false;
  int number = 0;

  explicit counted(int n) : number(n) { ++alive; }
  counted(const counted& other) : number(other.number) {
    if (copy_throws) {
      throw std::bad_alloc();
    }
    ++alive;
  }
  counted& operator=(const counted&) = default;
  ~counted() { --alive; }
  bool operator==(const counted&) const = default;
};

// A coroutine that awaits a result by value and keeps what it got.
template <class T>
struct delivers {
  result<T> given;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept { h.resume(); }
  result<T> await_resume() { return std::move(given); }
};

struct detached {
  struct promise_type {
    detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

detached await_string(delivers<std::string> operation, std::string& out) {
  result<std::string> got = co_await operation;
  out = got.value_or("error");
}

detached await_pointer(delivers<std::unique_ptr<int>> operation, int& out) {
  auto got = co_await operation;
  out = got ? **got : -1;
}

static_assert(std::is_trivially_copyable_v<result<int>>);
static_assert(std::is_trivially_copyable_v<result<std::error_code>>);
static_assert(std::is_trivially_copyable_v<result<std::string&>>);
static_assert(std::is_trivially_destructible_v<result<std::string_view>>);
static_assert(!std::is_trivially_destructible_v<result<std::string>>);
static_assert(std::is_move_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_move_assignable_v<result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_assignable_v<result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<result<std::vector<int>>>);

// An error is never made from a bare code, so a result<std::error_code> or result<int> is
// unambiguous.
static_assert(!std::is_constructible_v<result<int>, std::error_code>);
static_assert(!std::is_constructible_v<result<void>, std::error_code>);
static_assert(!std::is_convertible_v<std::error_code, failure>);
// A reference never binds to a temporary, directly or through a conversion.
static_assert(!std::is_constructible_v<result<const std::string&>, std::string>);
static_assert(!std::is_constructible_v<result<const std::string&>, const char*&>);
static_assert(!std::is_constructible_v<result<std::string&>, const std::string&>);
static_assert(std::is_constructible_v<result<const std::string&>, std::string&>);

static_assert(*result<int>(42) == 42);
static_assert(result<int>(42).value() == 42);
static_assert(result<int>(20).transform([](int n) { return n + 1; }).value_or(0) == 21);
static_assert(result<void>().has_value());

static_assert(std::is_same_v<decltype(std::declval<result<int>&>().value()), int&>);
static_assert(std::is_same_v<decltype(std::declval<const result<int>&>().value()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<result<int>>().value()), int&&>);
static_assert(std::is_same_v<decltype(std::declval<result<int&>>().value()), int&>);
static_assert(std::is_same_v<decltype(std::declval<const result<int&>&>().value()), int&>);
static_assert(std::is_same_v<decltype(std::declval<result<void>>().value()), void>);

}  // namespace

TEST_SUITE("runtime/result") {
  TEST_CASE("a result holds a value or an error") {
    const result<int> value = 7;
    CHECK(value.has_value());
    CHECK(*value == 7);
    CHECK(value.error() == std::error_code());

    const result<int> error = failure{broken};
    CHECK_FALSE(error);
    CHECK(error.error() == std::errc::broken_pipe);
    CHECK(error.value_or(3) == 3);
  }

  TEST_CASE("an error code may be the value") {
    const result<std::error_code> value = broken;
    REQUIRE(value);
    CHECK(*value == broken);
    const result<std::error_code> error = failure{broken};
    CHECK_FALSE(error);
    CHECK(error != value);
  }

  TEST_CASE("value() throws the error as a system_error") {
    const result<int> r = failure{std::errc::timed_out};
    CHECK_THROWS_AS(static_cast<void>(r.value()), std::system_error);
    const result<void> v = failure{broken};
    try {
      v.value();
      FAIL("no exception");
    } catch (const std::system_error& e) {
      CHECK(e.code() == broken);
    }
  }

  TEST_CASE("value() throws cancelled for exactly the code of a stopped scope") {
    const result<int> ours = failure{cancelled};
    CHECK_THROWS_AS(static_cast<void>(ours.value()), weft::cancelled);
    const result<int> kernels = failure{std::error_code(ECANCELED, std::system_category())};
    CHECK_THROWS_AS(static_cast<void>(kernels.value()), std::system_error);
  }

  TEST_CASE("throw_error says what failed") {
    try {
      weft::throw_error(broken, "send");
    } catch (const std::system_error& e) {
      CHECK(std::string_view(e.what()).starts_with("send"));
    }
    CHECK_THROWS_AS(weft::throw_error(cancelled, "send"), weft::cancelled);
  }

  TEST_CASE("the exceptions carry codes and byte counts") {
    CHECK(weft::timeout_error().code() == std::errc::timed_out);
    CHECK(weft::timeout_error("dial").code().category() == std::generic_category());
    CHECK(weft::io_error(broken, 17).transferred() == 17);
    CHECK(weft::io_error(broken, 17, "write_all").code() == broken);
    CHECK(weft::cancelled(5).transferred() == 5);
    CHECK(weft::cancelled().transferred() == 0);
    static_assert(!std::is_base_of_v<std::exception, weft::cancelled>);
  }

  TEST_CASE("a result of a reference refers") {
    std::string text = "a";
    result<std::string&> r = text;
    r->append("b");
    *r += "c";
    CHECK(text == "abc");
    std::string other = "x";
    r = result<std::string&>(other);  // rebinds, as a pointer does
    CHECK(&r.value() == &other);
    CHECK(text == "abc");
  }

  TEST_CASE("a move-only value moves out of an rvalue") {
    result<std::unique_ptr<int>> r = std::make_unique<int>(5);
    auto other = std::move(r);
    const std::unique_ptr<int> p = std::move(other).value();
    CHECK(*p == 5);
    CHECK(*result<std::unique_ptr<int>>(failure{broken}).value_or(std::make_unique<int>(6)) == 6);
  }

  TEST_CASE("every value is destroyed once, whatever is assigned to what") {
    {
      const result<counted> values[] = {result<counted>(counted(1)), result<counted>(counted(2)),
                                        failure{broken}, failure{cancelled}};
      for (const auto& from : values) {
        for (const auto& to : values) {
          result<counted> copy = to;
          copy = from;
          CHECK(copy == from);
          result<counted> moved = to;
          moved = std::move(copy);
          CHECK(moved == from);
          result<counted>& same = moved;
          moved = same;
          CHECK(moved == from);
        }
      }
    }
    CHECK(counted::alive == 0);
  }

  TEST_CASE("a copy that throws leaves the error that was there") {
    const result<counted> value(std::in_place, 1);
    result<counted> target = failure{broken};
    counted::copy_throws = true;
    CHECK_THROWS_AS(target = value, std::bad_alloc);
    counted::copy_throws = false;
    CHECK(target == failure{broken});
  }

  TEST_CASE("and_then, transform and or_else chain") {
    auto half = [](int n) -> result<int> {
      if (n % 2 != 0) {
        return failure{std::errc::invalid_argument};
      }
      return n / 2;
    };
    CHECK(result<int>(8).and_then(half).and_then(half) == 2);
    CHECK(result<int>(6).and_then(half).and_then(half) == failure{std::errc::invalid_argument});
    CHECK(result<int>(3).transform([](int n) { return std::to_string(n); }) == std::string("3"));

    int calls = 0;
    const result<void> done = result<int>(3).transform([&](int) { ++calls; });
    CHECK(done.has_value());
    CHECK(done.transform([&] { return ++calls; }) == 2);
    CHECK(done.and_then([] { return result<int>(9); }) == 9);
    CHECK(result<void>(failure{broken}).transform([&] { ++calls; }) == failure{broken});
    CHECK(calls == 2);

    auto recover = [](std::error_code code) -> result<int> { return code.value(); };
    CHECK(result<int>(failure{broken}).or_else(recover) == broken.value());
    CHECK(result<int>(1).or_else(recover) == 1);

    int number = 1;
    const result<int&> same = result<int>(0).transform([&](int) -> int& { return number; });
    CHECK(&*same == &number);
  }

  TEST_CASE("results compare by value and by error") {
    CHECK(result<int>(1) == result<long>(1));
    CHECK(result<int>(1) != result<int>(2));
    CHECK(result<int>(1) != failure{broken});
    CHECK(result<void>() == result<void>());
    CHECK(result<void>() != result<void>(failure{broken}));
    CHECK(result<std::string>("a") == "a");
  }

  TEST_CASE("a result is delivered by co_await intact") {
    std::string text;
    await_string({std::string(100, 'x')}, text);
    CHECK(text == std::string(100, 'x'));
    await_string({failure{broken}}, text);
    CHECK(text == "error");
    int number = 0;
    await_pointer({std::make_unique<int>(4)}, number);
    CHECK(number == 4);
  }
}

}  // namespace result_test

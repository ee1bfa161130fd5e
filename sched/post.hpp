// SPDX-License-Identifier: MIT
#pragma once
// A plain function on its way to a scheduler's worker. An exception that escapes it ends the
// program with a message: nobody waits for the function, so nobody could handle it.

#include "weft/runtime/message.hpp"

#include <source_location>
#include <type_traits>
#include <utility>

namespace weft::detail {

struct posted : message {
  virtual ~posted() = default;
  virtual void call() = 0;

  const std::source_location where;  // of the post()

protected:
  explicit posted(std::source_location w) noexcept : where(w) { deliver = &posted::call_and_free; }

private:
  static void call_and_free(message& m, worker&) noexcept;
};

/// Owned by the box that it is sent to; freed after the call, or without it when none comes.
template <class F>
posted& make_posted(F&& fn, std::source_location where) {
  struct posted_function final : posted {
    posted_function(F&& f, std::source_location w) : posted(w), function(std::forward<F>(f)) {}
    void call() override { function(); }
    std::decay_t<F> function;
  };
  return *new posted_function(std::forward<F>(fn), where);
}

/// Frees what was posted to a scheduler that ends without having run it.
inline void discard_posted(message& m) noexcept { delete static_cast<posted*>(&m); }

}  // namespace weft::detail

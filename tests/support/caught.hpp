// SPDX-License-Identifier: MIT
#pragma once
// What a task ended with, as a value to compare: for tests of failures.

#include "weft/runtime/error.hpp"
#include "weft/runtime/task.hpp"

#include <cstddef>
#include <ostream>
#include <string>
#include <system_error>

namespace weft::tests {

struct caught {
  bool was_cancelled = false;
  bool was_io_error = false;
  bool was_timeout = false;
  std::error_code code{};
  std::size_t transferred = 0;
  std::string what{};
};

/// Awaits `operation`; an empty code when it succeeded.
template <class Awaitable>
task<caught> catching(Awaitable operation) {
  try {
    (void)co_await std::move(operation);
  } catch (const cancelled& e) {
    co_return caught{.was_cancelled = true, .transferred = e.transferred()};
  } catch (const io_error& e) {
    co_return caught{
        .was_io_error = true, .code = e.code(), .transferred = e.transferred(), .what = e.what()};
  } catch (const timeout_error& e) {
    co_return caught{
        .was_timeout = true, .code = e.code(), .transferred = e.transferred(), .what = e.what()};
  } catch (const std::system_error& e) {
    co_return caught{.code = e.code(), .what = e.what()};
  }
  co_return caught{};
}

}  // namespace weft::tests

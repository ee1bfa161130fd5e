// SPDX-License-Identifier: MIT
#pragma once
// The loop of every call whose name promises all: it repeats an operation that moves some bytes
// until everything has moved, and says how far it came when it fails. For the .cpp files of io/.

#include "weft/io/descriptor_operation.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/error.hpp"

#include <cstddef>
#include <string>
#include <system_error>

namespace weft::detail {

/// Awaits `step(done)`, which moves up to `size - done` bytes from position `done` on, until `size`
/// have moved; at least once, so that no bytes at all are still refused by what is closed.
///
/// Errors:   io_error and cancelled, with what had moved before; `at_end`, explained by
///           `end_text`, when a step moves nothing.
template <class Step>
task<> transfer_all(Step step, std::size_t size, const char* call, std::errc at_end,
                    const char* end_text) {
  std::size_t done = 0;
  do {
    auto next = as_result(step(done));
    const result<std::size_t> moved = co_await next;
    if (!moved) throw_partial(moved.error(), done, call);
    if (*moved == 0 && done < size)
      throw io_error(std::make_error_code(at_end), done,
                     (std::string(call) + ": " + end_text).c_str());
    done += *moved;
  } while (done < size);
}

}  // namespace weft::detail

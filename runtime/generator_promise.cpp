// SPDX-License-Identifier: MIT
#include "weft/runtime/generator_promise.hpp"

namespace weft::detail {

void generator_base::unhandled_exception() noexcept {
  if (closing_) {
    try {
      throw;
    } catch (const generator_closed&) {
      return;
    } catch (...) {}
  }
  exception_ = std::current_exception();
}

}  // namespace weft::detail

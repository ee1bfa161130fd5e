// SPDX-License-Identifier: MIT
#include "weft/runtime/when_all.hpp"

#include "weft/runtime/error.hpp"

namespace weft::detail {

void first_escape::add(const std::exception_ptr& e) noexcept {
  const bool is_cancel = is_cancelled(e);
  if (first_ != nullptr && (is_cancel || !only_cancelled_)) return;
  first_ = e;
  only_cancelled_ = is_cancel;
}

}  // namespace weft::detail

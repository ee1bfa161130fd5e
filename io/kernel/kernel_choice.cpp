// SPDX-License-Identifier: MIT
#include "weft/io/kernel/kernel_choice.hpp"

#include <cerrno>
#include <cstdlib>

namespace weft::detail {

std::string_view kernel_asked_for() noexcept {
  const char* const value = ::secure_getenv("WEFT_KERNEL");
  return value != nullptr ? value : "";
}

std::optional<answered_by> kernel_named(std::string_view name) noexcept {
  if (name.empty()) return answered_by::undecided;
  if (name == "uring") return answered_by::uring;
  if (name == "epoll") return answered_by::epoll;
  return std::nullopt;
}

bool is_refusal(std::error_code code) noexcept {
  switch (code.value()) {
  case EPERM:
  case EACCES:
  case ENOSYS:
  case ENOMEM:
  case EINVAL:  // a flag or feature that weft needs is missing
    return code.category() == std::system_category();
  default:
    return false;
  }
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// By which rule io_uring or epoll is taken: system_kernel() goes by it, and doctor() says what
// comes of it here. WEFT_KERNEL decides; without it io_uring is used unless it is refused.

#include <optional>
#include <string_view>
#include <system_error>

namespace weft::detail {

/// Who answers submissions.
enum class answered_by : unsigned char { undecided, uring, epoll };

/// What the environment's WEFT_KERNEL holds; "" when it is not set, or not to be trusted because
/// this program has more rights than whoever started it.
std::string_view kernel_asked_for() noexcept;

/// Whom a value of WEFT_KERNEL means: undecided for "", nothing for a word that has no meaning.
std::optional<answered_by> kernel_named(std::string_view name) noexcept;

/// Whether an error of open_linux_queue says that io_uring is not to be had here at all, rather
/// than for the moment.
bool is_refusal(std::error_code code) noexcept;

}  // namespace weft::detail

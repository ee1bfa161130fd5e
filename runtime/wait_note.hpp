// SPDX-License-Identifier: MIT
#pragma once
// What an operation can tell of its wait beyond its name: for reports of who waits for what. It is
// asked while the operation is published in its strand, and only looks.

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weft::detail {

class cancel_scope;

struct wait_note {
  /// Where whoever holds what is waited for took it; line 0: nobody is known to.
  std::source_location holder{};

  /// Of a channel, when `is_channel`.
  std::size_t values = 0;
  std::size_t capacity = 0;
  std::size_t senders = 0;
  bool is_channel = false;
  /// The scope of those who alone can end the wait, when nothing else leads to them.
  cancel_scope* within = nullptr;
};

}  // namespace weft::detail

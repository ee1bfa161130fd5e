// SPDX-License-Identifier: MIT
#pragma once
// What a test may have a kernel answer to io_uring_enter instead of doing its work.

#include <cstdint>
#include <functional>

namespace weft::tests {

struct enter_call {
  std::uint64_t number;  // 1, 2, ... of this kernel
  unsigned submissions;
  bool wait;
  std::int64_t deadline_ns;
};

struct enter_answer {
  int error = 0;                    // positive: this errno, and nothing is taken
  unsigned taken_max = UINT32_MAX;  // a short submit
};

using enter_fault = std::function<enter_answer(const enter_call&)>;

}  // namespace weft::tests

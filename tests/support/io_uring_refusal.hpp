// SPDX-License-Identifier: MIT
#pragma once
// Whether this process may have an io_uring. What needs one is skipped where it may not, and
// main.cpp says so: TEST_CASE("..." * doctest::skip(tests::io_uring_refusal() != 0)).

#include <cerrno>

#include <sys/syscall.h>
#include <unistd.h>

namespace weft::tests {

/// 0, or the errno with which io_uring_setup is refused.
inline int io_uring_refusal() noexcept {
  unsigned char parameters[120] = {};  // struct io_uring_params
  const long fd = ::syscall(SYS_io_uring_setup, 4, &parameters);
  if (fd < 0) return errno;
  ::close(static_cast<int>(fd));
  return 0;
}

}  // namespace weft::tests

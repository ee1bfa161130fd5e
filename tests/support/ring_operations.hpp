// SPDX-License-Identifier: MIT
#pragma once
// The smallest awaitables over a ring: nothing, an entry that no kernel knows, and a poll of a
// descriptor.

#include "weft/io/ring.hpp"
#include "weft/runtime/result.hpp"

#include <liburing.h>

#include <cstdint>

namespace weft::tests {

/// Completes at once with 0, unless the test kernel is told otherwise. `tag` tells it which one it
/// is.
class nop : public detail::ring_awaitable<nop, int> {
public:
  static constexpr const char* name = "nop";

  explicit nop(std::uint64_t tag = 0) noexcept : tag_(tag) {}

  static void prepare_entry(detail::ring_operation& op, io_uring_sqe& sqe) noexcept {
    io_uring_prep_nop(&sqe);
    sqe.off = static_cast<nop&>(op).tag_;
  }
  result<int> success(int n) noexcept { return n; }

private:
  std::uint64_t tag_;
};

class unknown_operation : public detail::ring_awaitable<unknown_operation, int> {
public:
  static constexpr const char* name = "unknown_operation";

  static void prepare_entry(detail::ring_operation&, io_uring_sqe& sqe) noexcept {
    io_uring_prep_nop(&sqe);
    sqe.opcode = 0xfe;
  }
  result<int> success(int n) noexcept { return n; }
};

class poll_operation : public detail::ring_awaitable<poll_operation, int> {
public:
  static constexpr const char* name = "poll";

  poll_operation(int fd, unsigned events) noexcept : fd_(fd), events_(events) {}

  static void prepare_entry(detail::ring_operation& op, io_uring_sqe& sqe) noexcept {
    auto& self = static_cast<poll_operation&>(op);
    io_uring_prep_poll_add(&sqe, self.fd_, self.events_);
  }
  result<int> success(int n) noexcept { return n; }

private:
  int fd_;
  unsigned events_;
};

}  // namespace weft::tests

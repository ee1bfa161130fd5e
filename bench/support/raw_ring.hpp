// SPDX-License-Identifier: MIT
#pragma once
// A ring as a careful C programmer opens it, with the flags that weft uses too: the floor that the
// I/O benchmarks compare with.

#include <liburing.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace bench {

class raw_ring {
public:
  explicit raw_ring(unsigned entries) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 4 * entries;
    const int error = -io_uring_queue_init_params(entries, &ring, &parameters);
    if (error != 0) throw std::system_error(error, std::system_category(), "io_uring_setup");
    io_uring_register_ring_fd(&ring);  // where it is refused the descriptor does
  }
  raw_ring(const raw_ring&) = delete;
  raw_ring& operator=(const raw_ring&) = delete;
  ~raw_ring() { io_uring_queue_exit(&ring); }

  /// An entry; there always is one, since callers keep fewer in flight than the ring has.
  io_uring_sqe& entry(std::uint64_t user_data) noexcept {
    io_uring_sqe& sqe = *io_uring_get_sqe(&ring);
    sqe.user_data = user_data;
    return sqe;
  }

  /// Hands over what is queued, waits for a completion, and calls `each(user_data, result)` for
  /// all that are there.
  template <class Each>
  void turn(Each each) {
    const int taken = io_uring_submit_and_wait(&ring, 1);
    if (taken < 0 && taken != -EINTR)
      throw std::system_error(-taken, std::system_category(), "io_uring_enter");
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring, head, cqe) {
      ++seen;
      each(cqe->user_data, cqe->res);
    }
    io_uring_cq_advance(&ring, seen);
  }

  io_uring ring{};
};

}  // namespace bench

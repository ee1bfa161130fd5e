// SPDX-License-Identifier: MIT
#pragma once
// One worker's queue of the test kernel. Everything but what the ring itself touches is guarded by
// the kernel's lock.

#include "support/test_kernel.hpp"
#include "weft/io/kernel/queue_memory.hpp"

#include <liburing.h>

#include <cstdint>
#include <deque>

namespace weft::tests {

class test_queue final : public kernel_queue {
public:
  /// As the descriptor of a doorbell that the ring polls; no other descriptor has this number.
  static constexpr int doorbell_number = 999'999;

  test_queue(test_kernel& k, const queue_options& options);
  ~test_queue() override;

  io_uring& memory() noexcept override { return memory_.ring(); }
  int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override;
  void ring_doorbell() noexcept override;
  int doorbell_fd() const noexcept override {
    return kernel_.polled_doorbell ? doorbell_number : -1;
  }

private:
  friend class test_kernel;

  void post(std::uint64_t user_data, int res, unsigned flags = 0);
  void poll_doorbell(const io_uring_sqe& entry);
  void answer_doorbell_poll();
  void flush_overflow();
  bool ready() const noexcept;

  test_kernel& kernel_;
  detail::queue_memory memory_;

  // Under the kernel's lock.
  std::deque<io_uring_cqe> overflow_;
  bool rung_ = false;  // and nobody has seen it
  std::optional<std::uint64_t> doorbell_poll_;
  bool waiting_ = false;
  std::int64_t deadline_ns_ = 0;
};

}  // namespace weft::tests

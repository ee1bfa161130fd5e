// SPDX-License-Identifier: MIT
#pragma once
// The real kernel with somebody who counts how often it is entered, and who may answer in its
// place.

#include "support/enter_faults.hpp"
#include "support/forwarding_kernel.hpp"

#include <liburing.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

namespace weft::tests {

class watched_kernel final : public forwarding_kernel {
public:
  enter_fault on_enter{};  // set before a scheduler opens a queue

  std::atomic<std::uint64_t> enters{0};
  std::atomic<std::uint64_t> interrupted{0};
  std::atomic<std::uint64_t> overflows{0};  // enters that left completions behind in the kernel

  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return std::make_unique<queue>(*this, forwarding_kernel::open_queue(options));
  }

private:
  class queue final : public kernel_queue {
  public:
    queue(watched_kernel& k, std::unique_ptr<kernel_queue> real)
        : kernel_(k), real_(std::move(real)) {}

    io_uring& memory() noexcept override { return real_->memory(); }
    int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override {
      const std::uint64_t number = ++kernel_.enters;
      enter_answer answer;
      if (kernel_.on_enter)
        answer = kernel_.on_enter({.number = number,
                                   .submissions = submissions,
                                   .wait = wait,
                                   .deadline_ns = deadline_ns});
      if (answer.error != 0) return -answer.error;
      const unsigned taken = std::min(submissions, answer.taken_max);
      const int res = real_->enter(taken, wait && taken == submissions, deadline_ns);
      if (res == -EINTR) ++kernel_.interrupted;
      if (io_uring_cq_has_overflow(&memory())) ++kernel_.overflows;
      return res;
    }
    void ring_doorbell() noexcept override { real_->ring_doorbell(); }
    int doorbell_fd() const noexcept override { return real_->doorbell_fd(); }

  private:
    watched_kernel& kernel_;
    const std::unique_ptr<kernel_queue> real_;
  };
};

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// A submission and a completion queue in memory of our own, laid out as liburing's inline functions
// expect them: what a kernel_queue that is no io_uring shows to the ring. The ring writes entries
// and reads completions; this is the other side of both.

#include "weft/io/kernel/kernel.hpp"

#include <liburing.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace weft::detail {

/// Thread: the queue's owner.
class queue_memory {
public:
  /// Sizes are rounded up to powers of two, and bounded as io_uring bounds them.
  ///
  /// Errors: bad_alloc.
  explicit queue_memory(const queue_options& options);
  queue_memory(const queue_memory&) = delete;
  queue_memory& operator=(const queue_memory&) = delete;

  io_uring& ring() noexcept { return ring_; }

  /// The oldest entry that was handed over; it stays until pop_entry().
  const io_uring_sqe& oldest_entry() const noexcept {
    return sqes_[array_[sq_head_ & sq_mask_] & sq_mask_];
  }
  void pop_entry() noexcept { io_uring_smp_store_release(&sq_head_, sq_head_ + 1); }

  bool has_unread() const noexcept { return cq_tail_ != io_uring_smp_load_acquire(&cq_head_); }
  bool has_room() const noexcept {
    return cq_tail_ - io_uring_smp_load_acquire(&cq_head_) < cq_entries_;
  }
  /// There is room.
  void push_completion(std::uint64_t user_data, int res, unsigned flags) noexcept {
    io_uring_cqe& cqe = cqes_.get()[cq_tail_ & cq_mask_];
    cqe.user_data = user_data;
    cqe.res = res;
    cqe.flags = flags;
    io_uring_smp_store_release(&cq_tail_, cq_tail_ + 1);
  }

  /// IORING_SQ_TASKRUN, IORING_SQ_CQ_OVERFLOW: whether there is more to bring in.
  void set_flags(unsigned flags) noexcept { io_uring_smp_store_release(&sq_flags_, flags); }

private:
  struct freed {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };

  io_uring ring_{};
  unsigned sq_mask_;
  unsigned sq_entries_;
  unsigned cq_mask_;
  unsigned cq_entries_;
  unsigned sq_head_ = 0, sq_tail_ = 0, sq_flags_ = 0, sq_dropped_ = 0;
  unsigned cq_head_ = 0, cq_tail_ = 0, cq_flags_ = 0, cq_overflow_ = 0;
  std::unique_ptr<io_uring_sqe[]> sqes_;
  std::unique_ptr<io_uring_cqe, freed> cqes_;
  std::unique_ptr<unsigned[]> array_;
};

}  // namespace weft::detail

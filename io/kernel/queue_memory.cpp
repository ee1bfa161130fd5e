// SPDX-License-Identifier: MIT
#include "weft/io/kernel/queue_memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

namespace weft::detail {

namespace {

// io_uring's own bounds.
constexpr unsigned entries_max = 32'768;
constexpr unsigned completions_max = 2 * entries_max;

unsigned entries_of(const queue_options& o) noexcept {
  return std::bit_ceil(std::clamp(o.entries, 1u, entries_max));
}

unsigned completions_of(const queue_options& o) noexcept {
  return std::bit_ceil(std::clamp(o.completions, entries_of(o), completions_max));
}

}  // namespace

queue_memory::queue_memory(const queue_options& options)
    : sq_mask_(entries_of(options) - 1), sq_entries_(entries_of(options)),
      cq_mask_(completions_of(options) - 1), cq_entries_(completions_of(options)),
      sqes_(std::make_unique<io_uring_sqe[]>(sq_entries_)),
      // Zeros from the kernel: a page costs nothing before a completion lies in it.
      cqes_(static_cast<io_uring_cqe*>(std::calloc(cq_entries_, sizeof(io_uring_cqe)))),
      array_(std::make_unique<unsigned[]>(sq_entries_)) {
  if (cqes_ == nullptr) throw std::bad_alloc();
  for (unsigned i = 0; i < sq_entries_; ++i) array_[i] = i;
  io_uring_sq& sq = ring_.sq;
  sq.khead = &sq_head_;
  sq.ktail = &sq_tail_;
  sq.kflags = &sq_flags_;
  sq.kdropped = &sq_dropped_;
  sq.kring_mask = &sq_mask_;
  sq.kring_entries = &sq_entries_;
  sq.array = array_.get();
  sq.sqes = sqes_.get();
  sq.ring_mask = sq_mask_;
  sq.ring_entries = sq_entries_;
  io_uring_cq& cq = ring_.cq;
  cq.khead = &cq_head_;
  cq.ktail = &cq_tail_;
  cq.kflags = &cq_flags_;
  cq.koverflow = &cq_overflow_;
  cq.kring_mask = &cq_mask_;
  cq.kring_entries = &cq_entries_;
  cq.cqes = cqes_.get();
  cq.ring_mask = cq_mask_;
  cq.ring_entries = cq_entries_;
}

}  // namespace weft::detail

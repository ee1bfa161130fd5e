// SPDX-License-Identifier: MIT
#include "support/test_queue.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include <poll.h>

namespace weft::tests {

test_queue::test_queue(test_kernel& k, const queue_options& options)
    : kernel_(k), sqes_(std::bit_ceil(std::max(options.entries, 1u))),
      cqes_(std::bit_ceil(std::max(options.completions, options.entries))), array_(sqes_.size()),
      sq_mask_(static_cast<unsigned>(sqes_.size()) - 1), sq_entries_(sq_mask_ + 1),
      cq_mask_(static_cast<unsigned>(cqes_.size()) - 1), cq_entries_(cq_mask_ + 1) {
  for (unsigned i = 0; i < sq_entries_; ++i) array_[i] = i;
  io_uring_sq& sq = ring_.sq;
  sq.khead = &sq_head_;
  sq.ktail = &sq_tail_;
  sq.kflags = &sq_flags_;
  sq.kdropped = &sq_dropped_;
  sq.kring_mask = &sq_mask_;
  sq.kring_entries = &sq_entries_;
  sq.array = array_.data();
  sq.sqes = sqes_.data();
  sq.ring_mask = sq_mask_;
  sq.ring_entries = sq_entries_;
  io_uring_cq& cq = ring_.cq;
  cq.khead = &cq_head_;
  cq.ktail = &cq_tail_;
  cq.kflags = &cq_flags_;
  cq.koverflow = &cq_overflow_;
  cq.kring_mask = &cq_mask_;
  cq.kring_entries = &cq_entries_;
  cq.cqes = cqes_.data();
  cq.ring_mask = cq_mask_;
  cq.ring_entries = cq_entries_;
  const std::lock_guard lock(kernel_.mutex_);
  kernel_.queues_.push_back(this);
}

test_queue::~test_queue() {
  const std::lock_guard lock(kernel_.mutex_);
  kernel_.forget(*this);
  std::erase(kernel_.queues_, this);
  kernel_.changed_.notify_all();  // the others may be all that wait now
}

int test_queue::enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept {
  std::unique_lock lock(kernel_.mutex_);
  const std::uint64_t number = ++kernel_.enters;
  enter_answer answer;
  if (kernel_.on_enter)
    answer = kernel_.on_enter(
        {.number = number, .submissions = submissions, .wait = wait, .deadline_ns = deadline_ns});
  if (answer.error != 0) return -answer.error;
  const unsigned taken = std::min(submissions, answer.taken_max);
  for (unsigned i = 0; i < taken; ++i) {
    const io_uring_sqe entry = sqes_[array_[sq_head_ & sq_mask_]];
    io_uring_smp_store_release(&sq_head_, sq_head_ + 1);
    kernel_.take(*this, entry);
  }
  kernel_.expire();
  flush_overflow();
  if (!wait || taken < submissions) return static_cast<int>(taken);
  const int slept = kernel_.sleep(lock, *this, deadline_ns);
  flush_overflow();
  return taken != 0 ? static_cast<int>(taken) : slept;
}

void test_queue::ring_doorbell() noexcept {
  const std::lock_guard lock(kernel_.mutex_);
  rung_ = true;
  answer_doorbell_poll();
  kernel_.changed_.notify_all();
}

void test_queue::poll_doorbell(const io_uring_sqe& entry) {
  doorbell_poll_ = entry.user_data;
  answer_doorbell_poll();
}

void test_queue::answer_doorbell_poll() {
  if (!rung_ || !doorbell_poll_) return;
  rung_ = false;
  post(*doorbell_poll_, POLLIN, kernel_.doorbell_polls_end ? 0 : IORING_CQE_F_MORE);
  if (kernel_.doorbell_polls_end) doorbell_poll_.reset();
}

void test_queue::post(std::uint64_t user_data, int res, unsigned flags) {
  io_uring_cqe cqe{};
  cqe.user_data = user_data;
  cqe.res = res;
  cqe.flags = flags;
  overflow_.push_back(cqe);
  flush_overflow();
  if (!overflow_.empty()) ++kernel_.overflows;
}

void test_queue::flush_overflow() {
  while (!overflow_.empty() &&
         cq_tail_ - io_uring_smp_load_acquire(&cq_head_) < ring_.cq.ring_entries) {
    cqes_[cq_tail_ & cq_mask_] = overflow_.front();
    overflow_.pop_front();
    io_uring_smp_store_release(&cq_tail_, cq_tail_ + 1);
  }
  io_uring_smp_store_release(&sq_flags_, overflow_.empty() ? 0u : IORING_SQ_CQ_OVERFLOW);
}

bool test_queue::ready() const noexcept {
  return cq_tail_ != io_uring_smp_load_acquire(&cq_head_) || !overflow_.empty() ||
         (rung_ && !kernel_.polled_doorbell);
}

}  // namespace weft::tests

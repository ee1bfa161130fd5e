// SPDX-License-Identifier: MIT
#include "support/test_queue.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>

namespace weft::tests {

test_queue::test_queue(test_kernel& k, const queue_options& options)
    : kernel_(k), memory_(options) {
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
    const io_uring_sqe entry = memory_.oldest_entry();
    memory_.pop_entry();
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
  if (kernel_.on_doorbell) kernel_.on_doorbell();
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
  while (!overflow_.empty() && memory_.has_room()) {
    const io_uring_cqe& oldest = overflow_.front();
    memory_.push_completion(oldest.user_data, oldest.res, oldest.flags);
    overflow_.pop_front();
  }
  memory_.set_flags(overflow_.empty() ? 0u : IORING_SQ_CQ_OVERFLOW);
}

bool test_queue::ready() const noexcept {
  return memory_.has_unread() || !overflow_.empty() || (rung_ && !kernel_.polled_doorbell);
}

}  // namespace weft::tests

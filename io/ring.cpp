// SPDX-License-Identifier: MIT
#include "weft/io/ring.hpp"

#include "weft/runtime/assert.hpp"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <poll.h>

namespace weft::detail {

namespace {

// What user_data may be beside the address of an operation, which is a multiple of eight.
constexpr std::uint64_t doorbell = 1;
constexpr std::uint64_t cancel_of = 2;  // added to the address of its target
static_assert(alignof(ring_operation) % 8 == 0);

// A cancel that has met nothing is repeated by the next turn, but no more often than this by a loop
// that has nothing else to do.
constexpr std::int64_t cancel_pause_ns = 1'000'000;

std::uint64_t address_of(ring_operation& op) noexcept {
  return reinterpret_cast<std::uintptr_t>(&op);
}

const queue_options& checked(const queue_options& options) {
  if (options.entries != 0 && options.completions >= options.entries) return options;
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "weft cannot start: queue_options asks for " +
                              std::to_string(options.entries) + " entries and " +
                              std::to_string(options.completions) +
                              " completions; at least one entry, and no fewer completions");
}

}  // namespace

void operation_list::push(ring_operation& op) noexcept {
  op.next = nullptr;
  op.list = this;
  (oldest_ == nullptr ? oldest_ : newest_->next) = &op;
  newest_ = &op;
}

ring_operation* operation_list::take() noexcept {
  auto* const op = static_cast<ring_operation*>(oldest_);
  if (op != nullptr) remove(*op);
  return op;
}

void operation_list::remove(ring_operation& op) noexcept {
  suspended* before = nullptr;
  suspended** link = &oldest_;
  while (*link != &op) {
    before = *link;
    link = &before->next;
  }
  *link = op.next;
  if (newest_ == &op) newest_ = before;
  op.list = nullptr;
}

ring_operation* operation_list::find(std::uint64_t address) const noexcept {
  suspended* s = oldest_;
  while (s != nullptr && address_of(static_cast<ring_operation&>(*s)) != address) s = s->next;
  return static_cast<ring_operation*>(s);
}

ring::ring(kernel& k, worker& w, helper_pool& helpers, const queue_options& options)
    : kernel_(&k), worker_(&w), helpers_(helpers), queue_(k.open_queue(checked(options))) {}

ring::~ring() { WEFT_ASSERT(in_flight() == 0, "a ring was closed with operations in flight"); }

io_uring_sqe* ring::next_entry() noexcept {
  io_uring& memory = queue_->memory();
  io_uring_sqe* sqe = io_uring_get_sqe(&memory);
  if (sqe == nullptr) {
    enter(false, no_deadline);
    sqe = io_uring_get_sqe(&memory);
  }
  return sqe;
}

void ring::submit(ring_operation& op) noexcept {
  count(1);
  op.cancel_wanted = false;
  io_uring_sqe* const sqe = backlog_.empty() ? next_entry() : nullptr;
  if (sqe == nullptr)
    backlog_.push(op);
  else
    hand_over(op, *sqe);
}

void ring::hand_over(ring_operation& op, io_uring_sqe& sqe) noexcept {
  op.prepare(op, sqe);
  sqe.user_data = address_of(op);
}

bool ring::withdraw(ring_operation& op) noexcept {
  if (op.list == &backlog_) {
    backlog_.remove(op);
    op.cancel_wanted = true;
    op.res = -ECANCELED;
    count(-1);
    return true;
  }
  if (!op.cancel_wanted) {
    op.cancel_wanted = true;
    queue_cancel(op);
  }
  return false;
}

void ring::queue_cancel(ring_operation& op) noexcept {
  if (try_queue_cancel(op))
    cancelled_.push(op);
  else
    cancels_.push(op);
}

/// What has ended, or cannot be cancelled, ends with a completion of its own.
void ring::hear_of_cancel(const io_uring_cqe& cqe) noexcept {
  if (cqe.res != -ENOENT) return;
  ring_operation* const op = cancelled_.find(cqe.user_data - cancel_of);
  if (op == nullptr) return;
  cancelled_.remove(*op);
  missed_.push(*op);
}

void ring::repeat_cancels() noexcept {
  while (ring_operation* const op = missed_.take()) cancels_.push(*op);
}

bool ring::try_queue_cancel(ring_operation& op) noexcept {
  io_uring_sqe* const sqe = next_entry();
  if (sqe == nullptr) return false;
  io_uring_prep_cancel64(sqe, address_of(op), 0);
  sqe->user_data = address_of(op) + cancel_of;
  return true;
}

void ring::hand_over_backlog() noexcept {
  while (ring_operation* const op = cancels_.take()) {
    if (!try_queue_cancel(*op)) {
      cancels_.push(*op);
      return;
    }
    cancelled_.push(*op);
  }
  while (!backlog_.empty()) {
    io_uring_sqe* const sqe = next_entry();
    if (sqe == nullptr) return;
    hand_over(*backlog_.take(), *sqe);
  }
}

void ring::arm_doorbell() noexcept {
  const int fd = queue_->doorbell_fd();
  if (doorbell_armed_ || fd < 0) return;
  io_uring_sqe* const sqe = next_entry();
  if (sqe == nullptr) return;
  io_uring_prep_poll_multishot(sqe, fd, POLLIN);
  sqe->user_data = doorbell;
  doorbell_armed_ = true;
}

void ring::enter(bool wait, std::int64_t deadline_ns) noexcept {
  io_uring& memory = queue_->memory();
  io_uring_smp_store_release(memory.sq.ktail, memory.sq.sqe_tail);
  const unsigned submissions = memory.sq.sqe_tail - io_uring_smp_load_acquire(memory.sq.khead);
  const int taken = queue_->enter(submissions, wait, deadline_ns);
  switch (-taken) {
  case ETIME:   // the deadline: the loop expires its timers
  case EINTR:   // a signal: the loop looks around and comes back
  case EAGAIN:  // the kernel is short of memory (ENOMEM too), EBUSY: of room for completions. The
  case ENOMEM:  // entries stay in the queue; what has completed is reaped first, then they are
  case EBUSY:   // handed over.
    return;
  case EBADR:
    fatal("io_uring lost completions because the kernel was out of memory: tasks would hang");
  default:
    break;
  }
  if (taken < 0)
    fatal(std::string("io_uring_enter failed: ") + std::strerror(-taken) +
          "; the ring is unusable, and operations in flight cannot be awaited");
}

void ring::reap() noexcept {
  io_uring& memory = queue_->memory();
  unsigned seen = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&memory, head, cqe) {
    ++seen;
    if ((cqe->user_data & cancel_of) != 0) {
      hear_of_cancel(*cqe);
      continue;
    }
    if (cqe->user_data == doorbell) {
      if ((cqe->flags & IORING_CQE_F_MORE) == 0) doorbell_armed_ = false;
      continue;
    }
    auto& op = *reinterpret_cast<ring_operation*>(cqe->user_data);
    if (op.list != nullptr) op.list->remove(op);
    op.res = cqe->res;
    op.cqe_flags = cqe->flags;
    strand_of(*op.promise).complete(op, *worker_);  // makes it ready; the worker's turn resumes it
    count(-1);  // not before: who finds nothing in flight finds it among what is ready
  }
  io_uring_cq_advance(&memory, seen);
}

void ring::poll() noexcept {
  repeat_cancels();
  hand_over_backlog();
  io_uring& memory = queue_->memory();
  const bool queued = memory.sq.sqe_tail != *memory.sq.ktail || io_uring_sq_ready(&memory) != 0;
  const unsigned flags = IO_URING_READ_ONCE(*memory.sq.kflags);
  if (queued || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0)
    enter(false, no_deadline);
  reap();
}

void ring::wait(std::int64_t deadline_ns) noexcept {
  hand_over_backlog();
  arm_doorbell();
  // What found no room must not be slept over: a cancel would come late, and a doorbell unheard.
  const bool handed_over =
      backlog_.empty() && cancels_.empty() && (doorbell_armed_ || queue_->doorbell_fd() < 0);
  const bool reaped = io_uring_cq_ready(&queue_->memory()) == 0;
  if (!missed_.empty()) deadline_ns = std::min(deadline_ns, kernel_->now() + cancel_pause_ns);
  enter(handed_over && reaped, deadline_ns);
  repeat_cancels();
  reap();
}

std::error_code error_of(const ring_operation& op) noexcept {
  // A cancelled disk operation reports the signal by which the kernel interrupted it.
  if (op.cancel_wanted && (op.res == -ECANCELED || op.res == -EINTR)) return cancelled_code();
  return {-op.res, std::system_category()};
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// One worker's ring: takes operations, hands them to the kernel in batches, stores results and
// makes the waiting strands ready. It resumes nobody: completions are all collected before the loop
// runs a task.
//
// An operation belongs to the ring that it was submitted to until its completion has been reaped;
// its user_data is the address of the operation. A cancel is an entry of its own in the same queue:
// the kernel takes entries in order, so a cancel can only meet the operation that it was meant for,
// or none. That it met none is news only while the operation is still in flight: the kernel was
// just trying it again, and the cancel is repeated. An operation that finds the queue full waits in
// the backlog, in order, and is prepared when there is room; nothing is ever dropped.
//
//   I1: reap makes a strand ready, then uncounts its operation (release) -> who reads the count
//       (acquire), then looks for ready work, misses neither.

#include "weft/io/kernel/kernel.hpp"
#include "weft/runtime/operation.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

struct io_uring_cqe;
struct io_uring_sqe;

namespace weft::detail {

class helper_pool;
class ring;

struct ring_operation : operation {
  using prepare_fn = void (*)(ring_operation&, io_uring_sqe&) noexcept;

  using operation::operation;

  prepare_fn prepare = nullptr;
  int res = 0;  // the kernel's result: not negative, or -errno
  unsigned cqe_flags = 0;
  bool cancel_wanted = false;
  class operation_list* list = nullptr;  // of the ring's, linked through `next`
};

/// FIFO of operations that found the queue full; rare and short, so leaving it may walk it.
class operation_list {
public:
  bool empty() const noexcept { return oldest_ == nullptr; }
  void push(ring_operation& op) noexcept;
  ring_operation* take() noexcept;
  void remove(ring_operation& op) noexcept;
  /// The operation at that address if it is in the list, else null: it may be gone.
  ring_operation* find(std::uint64_t address) const noexcept;

private:
  suspended* oldest_ = nullptr;
  suspended* newest_ = nullptr;
};

class ring {
public:
  /// Thread: the worker's own; destroyed there, or when that has ended.
  /// Errors: system_error from kernel::open_queue.
  ring(kernel& k, worker& w, helper_pool& helpers, const queue_options& options);
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  /// Nothing may be in flight.
  ~ring();

  /// Queues an operation for the next batch. Never fails: without room it waits in the backlog.
  void submit(ring_operation& op) noexcept;

  /// Asks the kernel to cancel. True when the operation had not been handed over yet: it never
  /// will.
  [[nodiscard]] bool withdraw(ring_operation& op) noexcept;

  /// Hands over what is queued and reaps what has completed, without waiting. No system call when
  /// there is neither.
  void poll() noexcept;

  /// Hands over what is queued and sleeps until a completion, the doorbell or the deadline.
  void wait(std::int64_t deadline_ns) noexcept;

  /// Ends the sleep in wait(), now or the next one. Thread: any.
  void ring_doorbell() noexcept { queue_->ring_doorbell(); }

  /// Operations that the kernel or the backlog holds. Thread: any; exact while the worker sleeps.
  std::uint64_t in_flight() const noexcept {
    return in_flight_.load(std::memory_order_acquire);  // sync: I1
  }
  /// The scheduler's threads for blocking calls.
  helper_pool& helpers() const noexcept { return helpers_; }
  kernel& kernel_used() const noexcept { return *kernel_; }

private:
  io_uring_sqe* next_entry() noexcept;
  void hand_over(ring_operation& op, io_uring_sqe& sqe) noexcept;
  void hand_over_backlog() noexcept;
  void queue_cancel(ring_operation& op) noexcept;
  void repeat_cancels() noexcept;
  [[nodiscard]] bool try_queue_cancel(ring_operation& op) noexcept;
  void hear_of_cancel(const io_uring_cqe& cqe) noexcept;
  void arm_doorbell() noexcept;
  void count(int change) noexcept {
    const std::uint64_t n = in_flight() + static_cast<std::uint64_t>(std::int64_t{change});
    in_flight_.store(n, std::memory_order_release);  // sync: I1; the worker is the only writer
  }
  void enter(bool wait, std::int64_t deadline_ns) noexcept;
  void reap() noexcept;

  kernel* const kernel_;
  worker* const worker_;
  helper_pool& helpers_;
  const std::unique_ptr<kernel_queue> queue_;
  std::atomic<std::uint64_t> in_flight_{0};  // written by the worker alone
  operation_list backlog_;                   // not prepared yet
  operation_list cancels_;                   // in flight, to be cancelled, no entry yet
  operation_list cancelled_;                 // in flight, and the cancel is on its way or answered
  operation_list missed_;                    // in flight, and the cancel has met nothing
  bool doorbell_armed_ = false;
};

/// The threads for blocking calls that the rings of one scheduler share: at most `threads_max`,
/// started when they are needed. Dropping the last reference joins them.
std::shared_ptr<helper_pool> make_helpers(kernel& k, unsigned threads_max);
/// Whether blocking calls are queued or running. Whoever reads false, then the mailboxes, finds
/// what those that have ended have sent. Thread: any.
bool calls_outstanding(const helper_pool& helpers) noexcept;

/// Turns a negative result into an error: `cancelled` for a cancel that was asked for.
std::error_code error_of(const ring_operation& op) noexcept;

/// An awaitable that is one submission. Derived supplies
///   static void prepare_entry(ring_operation&, io_uring_sqe&) noexcept
///   result<T> success(int res) noexcept      what a result that is no error means
template <class Derived, class T>
class ring_awaitable : public awaitable_operation<Derived, T, ring_operation> {
public:
  ring_awaitable() noexcept { this->prepare = &Derived::prepare_entry; }

  bool try_now(worker&) noexcept { return false; }
  bool start(worker& w) noexcept {
    this->owner = &w;
    w.ring->submit(*this);
    return true;
  }
  static bool withdraw(operation& op, worker& w) noexcept {
    return w.ring->withdraw(static_cast<ring_operation&>(op));
  }
  result<T> finish() noexcept {
    if (this->res < 0) return failure{error_of(*this)};
    return static_cast<Derived&>(*this).success(this->res);
  }
};

}  // namespace weft::detail

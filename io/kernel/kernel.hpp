// SPDX-License-Identifier: MIT
#pragma once
// Who answers a submission: the exchangeable object behind weft's only door to the world. The ring
// fills submission entries and reads completions in the memory that a kernel_queue shows; the
// kernel is entered once per loop turn, for a whole batch. The cold calls that are no ring
// operations, the clock, waking a worker and helper threads are asked of the same object. So a test
// can put another kernel here and the whole of io/ runs on it unchanged, without a system call.
//
// Results are those of the system calls: not negative, or -errno.

#include <cstddef>
#include <cstdint>
#include <memory>

#include <sys/socket.h>

struct io_uring;

namespace weft {

/// How large a worker's queue is.
struct queue_options {
  unsigned entries = 256;       // submissions that one batch can hold
  unsigned completions = 8192;  // completions that can lie unread; more wait inside the kernel
};

/// One worker's submission and completion queue.
///
/// Thread: opened and entered on the worker's own thread, closed there or when that has ended;
///         ring_doorbell from any.
class kernel_queue {
public:
  kernel_queue(const kernel_queue&) = delete;
  kernel_queue& operator=(const kernel_queue&) = delete;
  virtual ~kernel_queue() = default;

  /// The memory of the two queues, in the layout that liburing's inline functions work on.
  virtual ::io_uring& memory() noexcept = 0;

  /// Hands over `submissions` entries; waits for a completion if `wait`, until `deadline_ns` of the
  /// kernel's clock at the latest (INT64_MAX: for ever). Without `wait` it brings in what has
  /// completed. Returns how many entries were taken, or -errno: ETIME when the deadline came; EINTR
  /// (not by signals alone), EAGAIN, ENOMEM, EBUSY: try again; others: the queue is of no use any
  /// more. Entries that were not taken stay in the queue. Between calls the flags IORING_SQ_TASKRUN
  /// and IORING_SQ_CQ_OVERFLOW in the memory say that there may be, or is, more to bring in.
  virtual int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept = 0;

  /// Ends the sleep inside enter(), now or the next one. Thread: any.
  virtual void ring_doorbell() noexcept = 0;

  /// The descriptor that ring_doorbell() makes readable, for the ring to poll; -1 when there is
  /// none and enter() sees the doorbell by itself.
  virtual int doorbell_fd() const noexcept = 0;

protected:
  kernel_queue() = default;
};

/// A thread that runs blocking calls. Destroying it joins it.
class helper_thread {
public:
  helper_thread(const helper_thread&) = delete;
  helper_thread& operator=(const helper_thread&) = delete;
  virtual ~helper_thread() = default;

protected:
  helper_thread() = default;
};

/// Whether to wait for the first signal of a set, or for every one.
enum class signal_catch : unsigned char { first, every };

/// The world as weft sees it.
///
/// Thread:   any, at the same time.
/// Lifetime: outlives every scheduler that uses it.
class kernel {
public:
  kernel(const kernel&) = delete;
  kernel& operator=(const kernel&) = delete;
  virtual ~kernel() = default;

  /// Errors: system_error that names the call, the errno and the likely cause; invalid_argument for
  ///         a WEFT_KERNEL that means no kernel.
  virtual std::unique_ptr<kernel_queue> open_queue(const queue_options& options) = 0;

  /// Monotonic nanoseconds; for the real kernel those of steady_clock.
  virtual std::int64_t now() noexcept = 0;

  /// Has every thread of the process pass a full memory fence before it returns; 0 or -errno. The
  /// first call may take milliseconds, the others take microseconds.
  virtual int heavy_fence() noexcept = 0;

  /// How long a worker that has nothing to run may look for more before it sleeps in its queue, as
  /// long as looking has lately been of use; 0 where time is not real.
  virtual std::int64_t look_before_sleep_ns() const noexcept { return 0; }

  /// Errors: system_error when no thread can be had.
  virtual std::unique_ptr<helper_thread> start_helper(void (*body)(void*), void* argument) = 0;

  virtual int socket(int domain, int type, int protocol) noexcept = 0;
  virtual int bind(int fd, const sockaddr* address, socklen_t length) noexcept = 0;
  virtual int listen(int fd, int backlog) noexcept = 0;
  virtual int shutdown(int fd, int how) noexcept = 0;
  virtual int close(int fd) noexcept = 0;
  /// A queue is about to close the descriptor: its number may be another one's next.
  virtual void forget(int fd) noexcept = 0;
  virtual int set_option(int fd, int level, int name, const void* value,
                         socklen_t size) noexcept = 0;
  virtual int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept = 0;
  virtual int local_address(int fd, sockaddr* address, socklen_t* length) noexcept = 0;
  virtual int peer_address(int fd, sockaddr* address, socklen_t* length) noexcept = 0;
  /// Directory records in the layout of getdents64(2); bytes written, 0 at the end.
  virtual std::ptrdiff_t read_directory(int fd, void* buffer, std::size_t size) noexcept = 0;

  /// Catches the signals of `set` (bit n - 1: signal n). Returns a descriptor; reading eight bytes
  /// of it waits until one of them comes. With `first` it gives its number, and from then on they
  /// all have their default action: a second one ends the program. With `every` it waits for the
  /// next one again.
  virtual int catch_signals(std::uint64_t set, signal_catch how) noexcept = 0;
  /// Closes such a descriptor; the signals do again what they did before. Returns the number of the
  /// one that has come, 0 for none.
  virtual int release_signals(int fd) noexcept = 0;

protected:
  kernel() = default;
};

/// The operating system through io_uring, or through epoll and helper threads where io_uring is
/// refused. The environment's WEFT_KERNEL ("uring" or "epoll") says which; without it the first
/// queue that is opened decides for the process: io_uring, unless that fails with EPERM, EACCES,
/// ENOSYS or ENOMEM, or lacks what weft needs. Above the queue nothing differs.
kernel& system_kernel() noexcept;

/// The operating system through io_uring, and nothing else: opening a queue fails where it is
/// refused. For `run_options::kernel`, as the next one.
kernel& uring_kernel() noexcept;

/// The operating system through epoll, also where io_uring could be had.
kernel& epoll_kernel() noexcept;

/// The kernel of the scheduler that this thread works for, else system_kernel().
kernel& current_kernel() noexcept;

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// Submission entries as the system calls that they stand for: tried without waiting, or made by a
// thread that may block. What waiting means is the queue's business (epoll_queue.hpp).
//
// Results are those of completions: not negative, or -errno.

#include <cstdint>

struct io_uring_sqe;

namespace weft::detail {

/// How an operation is done.
enum class call_kind : unsigned char {
  unknown,   // refused
  itself,    // by the queue: nothing waits
  timeout,   // by the queue, when its time has come
  poll,      // by the queue, when epoll says so
  plain,     // of a socket: tried at once, then when the socket is ready; one call does it all
  socket,    // the same in several steps: multishot, into provided buffers, or until all is moved
  connect,   // begun at once, ended when the socket is ready
  transfer,  // tried at once, then when it is ready, or by a helper where nothing tells when
  close,     // at once where it can't block, else by a helper
  helper,    // by a helper
};

/// Unknown, too, when it has flags that the emulated kernel does not know.
call_kind call_kind_of(const io_uring_sqe& entry) noexcept;

/// Whether it waits for room, rather than for something to come.
bool waits_to_write(const io_uring_sqe& entry) noexcept;
/// Whether it stays after a completion.
bool is_multishot(const io_uring_sqe& entry) noexcept;
/// Whether it goes on until all of its bytes have been moved. `moved`: what the last step gave.
bool goes_on_after(const io_uring_sqe& entry, int moved) noexcept;
/// Leaves out the bytes that have been moved.
void advance_entry(io_uring_sqe& entry, int moved) noexcept;

/// A socket operation or a transfer. -EAGAIN: it has to wait; -EOPNOTSUPP of a transfer: it may
/// have to, and cannot be tried.
int call_without_waiting(const io_uring_sqe& entry) noexcept;

/// -EINPROGRESS or -EALREADY: call again when the socket is writable; -EAGAIN: nothing tells when.
int connect_without_waiting(const io_uring_sqe& entry) noexcept;

/// Any other operation on a file or path, a transfer, a close. Thread: any that may block.
int call_and_wait(const io_uring_sqe& entry) noexcept;

/// Whether closing it is nobody's wait, unless a linger was asked for. -errno for what is no
/// descriptor.
int closes_at_once(int fd) noexcept;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/io/kernel/emulated_call.hpp"

#include <liburing.h>

#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace weft::detail {

namespace {

template <class T>
int or_errno(T result) noexcept {
  return result < 0 ? -errno : static_cast<int>(result);
}

template <class T>
T* pointer(std::uint64_t address) noexcept {
  return reinterpret_cast<T*>(address);
}

/// A descriptor that does not block for as long as this lives.
class nonblocking {
public:
  explicit nonblocking(int fd) noexcept : fd_(fd), before_(::fcntl(fd, F_GETFL)) {
    if (changes()) ::fcntl(fd_, F_SETFL, before_ | O_NONBLOCK);
  }
  nonblocking(const nonblocking&) = delete;
  nonblocking& operator=(const nonblocking&) = delete;
  ~nonblocking() {
    if (changes()) ::fcntl(fd_, F_SETFL, before_);
  }

private:
  bool changes() const noexcept { return before_ >= 0 && (before_ & O_NONBLOCK) == 0; }

  int fd_;
  int before_;
};

/// A listener stays so: who shares it with another process may find its connection taken, and must
/// not wait then, whenever the other one is done.
void never_block(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int accept(const io_uring_sqe& e) noexcept {
  never_block(e.fd);
  return or_errno(::accept4(e.fd, pointer<sockaddr>(e.addr), pointer<socklen_t>(e.addr2),
                            static_cast<int>(e.accept_flags)));
}

int flags_of(const io_uring_sqe& e) noexcept {
  return static_cast<int>(e.msg_flags | MSG_DONTWAIT);
}

/// READ and WRITE, with what preadv2(2) calls flags. At the current position, too, where the
/// descriptor has none that could be chosen.
int transfer(const io_uring_sqe& e, int flags) noexcept {
  iovec part{.iov_base = pointer<void>(e.addr), .iov_len = e.len};
  const auto call = e.opcode == IORING_OP_READ ? &::preadv2 : &::pwritev2;
  const auto offset = static_cast<off_t>(e.off);
  ssize_t n = call(e.fd, &part, 1, offset, flags);
  if (n < 0 && errno == ESPIPE && offset != -1) n = call(e.fd, &part, 1, -1, flags);
  return or_errno(n);
}

/// Whether a transfer can keep a helper, although epoll has said that there is something: another
/// one was there first, or a write is larger than the room.
bool can_keep_helper(int fd) noexcept {
  struct stat found{};
  if (::fstat(fd, &found) != 0) return false;
  return S_ISFIFO(found.st_mode) || (S_ISCHR(found.st_mode) && ::isatty(fd) != 0);
}

/// Opening waits for nobody at the other end of a FIFO: no cancel would reach the helper.
int open(const io_uring_sqe& e) noexcept {
  const char* const path = pointer<const char>(e.addr);
  const int flags = static_cast<int>(e.open_flags);
  if ((flags & (O_NONBLOCK | O_PATH)) != 0) return or_errno(::openat(e.fd, path, flags, e.len));
  int fd = ::openat(e.fd, path, flags | O_NONBLOCK, e.len);
  // Somebody has to give back a lease on the file first.
  if (fd < 0 && errno == EAGAIN) fd = ::openat(e.fd, path, flags, e.len);
  const int res = or_errno(fd);
  if (res >= 0 && !can_keep_helper(fd)) ::fcntl(fd, F_SETFL, flags);
  return res;
}

int fsync(const io_uring_sqe& e) noexcept {
  return or_errno((e.fsync_flags & IORING_FSYNC_DATASYNC) != 0 ? ::fdatasync(e.fd) : ::fsync(e.fd));
}

/// As call_and_wait(), which may be interrupted.
int call(const io_uring_sqe& e) noexcept {
  const char* const path = pointer<const char>(e.addr);
  switch (e.opcode) {
  case IORING_OP_READ:
  case IORING_OP_WRITE:
    return transfer(e, 0);
  case IORING_OP_FSYNC:
    return fsync(e);
  case IORING_OP_STATX:
    return or_errno(
        ::statx(e.fd, path, static_cast<int>(e.statx_flags), e.len, pointer<struct statx>(e.off)));
  case IORING_OP_OPENAT:
    return open(e);
  case IORING_OP_OPENAT2:
    return or_errno(::syscall(SYS_openat2, e.fd, path, pointer<open_how>(e.off), e.len));
  case IORING_OP_UNLINKAT:
    return or_errno(::unlinkat(e.fd, path, static_cast<int>(e.unlink_flags)));
  case IORING_OP_RENAMEAT:
    return or_errno(::renameat2(e.fd, path, static_cast<int>(e.len), pointer<const char>(e.off),
                                e.rename_flags));
  case IORING_OP_MKDIRAT:
    return or_errno(::mkdirat(e.fd, path, e.len));
  case IORING_OP_CLOSE:
    return or_errno(::close(e.fd));
  default:
    return -EINVAL;
  }
}

/// Flags by which entries are chained: nobody uses them, and half of it would be worse than none.
constexpr unsigned refused_flags =
    IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;

/// Flags of receives that wait for something else than what a socket is called readable for.
constexpr unsigned refused_message_flags = MSG_OOB | MSG_ERRQUEUE;

bool selects_buffer(const io_uring_sqe& e) noexcept { return (e.flags & IOSQE_BUFFER_SELECT) != 0; }

/// Multishot receives take the buffers that were provided, as they are.
bool is_sound_receive(const io_uring_sqe& e) noexcept {
  if ((e.ioprio & ~(IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT)) != 0) return false;
  if ((e.msg_flags & refused_message_flags) != 0) return false;
  if ((e.msg_flags & MSG_DONTWAIT) != 0) return !is_multishot(e) && !selects_buffer(e);
  return !is_multishot(e) || (selects_buffer(e) && e.len == 0 && (e.msg_flags & MSG_WAITALL) == 0);
}

/// One call does it all: what a short one has left of its pieces is not known.
bool is_sound_message(const io_uring_sqe& e) noexcept {
  return (e.ioprio & ~IORING_RECVSEND_POLL_FIRST) == 0 &&
         (e.msg_flags & (refused_message_flags | MSG_WAITALL)) == 0;
}

bool is_sound_timeout(const io_uring_sqe& e) noexcept {
  // Not after a number of completions: only after a time, on the monotonic clock.
  constexpr unsigned known = IORING_TIMEOUT_ABS | IORING_TIMEOUT_ETIME_SUCCESS;
  return e.off == 0 && e.len == 1 && (e.timeout_flags & ~known) == 0;
}

/// A sound operation on a socket.
call_kind socket_kind(const io_uring_sqe& e) noexcept {
  const unsigned flags = e.opcode != IORING_OP_ACCEPT ? e.msg_flags : 0;
  const bool until_all = (flags & MSG_WAITALL) != 0;
  if ((flags & MSG_DONTWAIT) != 0) return call_kind::itself;
  return is_multishot(e) || selects_buffer(e) || until_all ? call_kind::socket : call_kind::plain;
}

call_kind only_if(bool sound, call_kind kind) noexcept { return sound ? kind : call_kind::unknown; }

}  // namespace

call_kind call_kind_of(const io_uring_sqe& e) noexcept {
  if ((e.flags & refused_flags) != 0) return call_kind::unknown;
  const bool own_buffer = !selects_buffer(e);
  switch (e.opcode) {
  case IORING_OP_NOP:
  case IORING_OP_PROVIDE_BUFFERS:
  case IORING_OP_REMOVE_BUFFERS:
  case IORING_OP_SHUTDOWN:
    return only_if(own_buffer, call_kind::itself);
  case IORING_OP_ASYNC_CANCEL:
    return only_if(own_buffer && e.cancel_flags == 0, call_kind::itself);
  case IORING_OP_TIMEOUT_REMOVE:
    return only_if(own_buffer && e.timeout_flags == 0, call_kind::itself);
  case IORING_OP_POLL_REMOVE:
    return only_if(own_buffer && e.len == 0, call_kind::itself);
  case IORING_OP_TIMEOUT:
    return only_if(own_buffer && is_sound_timeout(e), call_kind::timeout);
  case IORING_OP_POLL_ADD:
    return only_if(own_buffer && (e.len & ~IORING_POLL_ADD_MULTI) == 0, call_kind::poll);
  case IORING_OP_RECV:
    return only_if(is_sound_receive(e), socket_kind(e));
  case IORING_OP_SEND:
    return only_if(own_buffer && (e.ioprio & ~IORING_RECVSEND_POLL_FIRST) == 0, socket_kind(e));
  case IORING_OP_SENDMSG:
  case IORING_OP_RECVMSG:
    return only_if(own_buffer && is_sound_message(e), socket_kind(e));
  case IORING_OP_ACCEPT:
    return only_if(own_buffer && (e.ioprio & ~IORING_ACCEPT_MULTISHOT) == 0 && e.file_index == 0,
                   socket_kind(e));
  case IORING_OP_CONNECT:
    return only_if(own_buffer, call_kind::connect);
  case IORING_OP_READ:
  case IORING_OP_WRITE:
    return only_if(own_buffer && e.rw_flags == 0, call_kind::transfer);
  case IORING_OP_CLOSE:
    return only_if(own_buffer && e.file_index == 0, call_kind::close);
  case IORING_OP_OPENAT:
  case IORING_OP_OPENAT2:
    return only_if(own_buffer && e.file_index == 0, call_kind::helper);
  case IORING_OP_FSYNC:
    return only_if(own_buffer && e.off == 0 && e.len == 0, call_kind::helper);
  case IORING_OP_STATX:
  case IORING_OP_UNLINKAT:
  case IORING_OP_RENAMEAT:
  case IORING_OP_MKDIRAT:
    return only_if(own_buffer, call_kind::helper);
  default:
    return call_kind::unknown;
  }
}

bool waits_to_write(const io_uring_sqe& e) noexcept {
  return e.opcode == IORING_OP_SEND || e.opcode == IORING_OP_SENDMSG ||
         e.opcode == IORING_OP_WRITE || e.opcode == IORING_OP_CONNECT;
}

bool is_multishot(const io_uring_sqe& e) noexcept {
  switch (e.opcode) {
  case IORING_OP_POLL_ADD:
    return (e.len & IORING_POLL_ADD_MULTI) != 0;
  case IORING_OP_RECV:
    return (e.ioprio & IORING_RECV_MULTISHOT) != 0;
  case IORING_OP_ACCEPT:
    return (e.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
  default:
    return false;
  }
}

bool goes_on_after(const io_uring_sqe& e, int moved) noexcept {
  if (moved <= 0 || static_cast<unsigned>(moved) >= e.len || selects_buffer(e)) return false;
  switch (e.opcode) {
  case IORING_OP_RECV:
  case IORING_OP_SEND: {
    if ((e.msg_flags & MSG_WAITALL) == 0) return false;
    int type = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(e.fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
  }
  case IORING_OP_READ:
  case IORING_OP_WRITE: {
    // Of a file, what is in memory may be less than there is.
    struct stat found{};
    return ::fstat(e.fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISBLK(found.st_mode));
  }
  default:
    return false;
  }
}

void advance_entry(io_uring_sqe& e, int moved) noexcept {
  const auto count = static_cast<unsigned>(moved);
  e.addr += count;
  e.len -= count;
  const bool has_offset = e.opcode == IORING_OP_READ || e.opcode == IORING_OP_WRITE;
  if (has_offset && e.off != UINT64_MAX) e.off += count;
}

int call_without_waiting(const io_uring_sqe& e) noexcept {
  switch (e.opcode) {
  case IORING_OP_RECV:
    return or_errno(::recv(e.fd, pointer<void>(e.addr), e.len, flags_of(e)));
  case IORING_OP_SEND:
    return or_errno(::send(e.fd, pointer<const void>(e.addr), e.len, flags_of(e)));
  case IORING_OP_RECVMSG:
    return or_errno(::recvmsg(e.fd, pointer<msghdr>(e.addr), flags_of(e)));
  case IORING_OP_SENDMSG:
    return or_errno(::sendmsg(e.fd, pointer<const msghdr>(e.addr), flags_of(e)));
  case IORING_OP_ACCEPT:
    return accept(e);
  default:
    return transfer(e, RWF_NOWAIT);
  }
}

int connect_without_waiting(const io_uring_sqe& e) noexcept {
  const nonblocking guard(e.fd);
  const auto size = static_cast<socklen_t>(e.off);
  return or_errno(::connect(e.fd, pointer<const sockaddr>(e.addr), size));
}

int call_and_wait(const io_uring_sqe& e) noexcept {
  int res = call(e);
  // A signal's handler has run meanwhile. What was closed is closed, whatever close(2) says.
  while (res == -EINTR && e.opcode != IORING_OP_CLOSE) res = call(e);
  return res;
}

int closes_at_once(int fd) noexcept {
  struct stat found{};
  if (::fstat(fd, &found) != 0) return -errno;
  return S_ISSOCK(found.st_mode) || S_ISFIFO(found.st_mode) ? 1 : 0;
}

}  // namespace weft::detail

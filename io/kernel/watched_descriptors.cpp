// SPDX-License-Identifier: MIT
#include "weft/io/kernel/watched_descriptors.hpp"

#include <climits>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace weft::detail {

namespace {

constexpr std::uint32_t all_edges = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t read_edges = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t write_edges = EPOLLOUT | EPOLLHUP | EPOLLERR;
// EPOLLPRI: a receive stops at urgent data, and leaves what is behind.
constexpr std::uint32_t last_edges = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

constexpr unsigned char unwanted_max = 4;

std::uint64_t token_of(const watched& w) noexcept {
  return std::uint64_t{w.age} << 32 | static_cast<std::uint32_t>(w.fd);
}

bool is_tcp(int fd) noexcept {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
         protocol == IPPROTO_TCP;
}

[[noreturn]] void refuse_epoll(const char* call, int error) {
  const bool none_left = error == EMFILE || error == ENFILE;
  throw std::system_error(error, std::system_category(),
                          std::string("weft cannot start: ") + call + " failed; " +
                              (none_left
                                   ? "no descriptor is left: look at ulimit -n (RLIMIT_NOFILE)"
                                   : "the kernel refused it"));
}

}  // namespace

watched_descriptors::watched_descriptors() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) refuse_epoll("epoll_create1", errno);
  doorbell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event wanted{.events = EPOLLIN | EPOLLET, .data = {.u64 = doorbell_token}};
  if (doorbell_ >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, doorbell_, &wanted) == 0) return;
  const int error = errno;
  const char* const call = doorbell_ < 0 ? "eventfd" : "epoll_ctl";
  if (doorbell_ >= 0) ::close(doorbell_);
  ::close(epoll_);
  refuse_epoll(call, error);
}

watched_descriptors::~watched_descriptors() {
  ::close(doorbell_);
  ::close(epoll_);
}

void watched_descriptors::ring_doorbell() noexcept {
  const std::uint64_t one = 1;
  // Each write is an edge. It fails only when the counter is full: then nobody has listened for a
  // long time.
  [[maybe_unused]] const ssize_t written = ::write(doorbell_, &one, sizeof one);
}

int watched_descriptors::know(int fd) noexcept {
  if (fd < 0) return -EBADF;
  if (known(fd) != nullptr) return 0;
  // Whatever number a bug comes with, memory is for those that there are.
  if (::fcntl(fd, F_GETFD) < 0) return -errno;
  const std::size_t chunk = static_cast<unsigned>(fd) / chunk_size;
  try {
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    auto made = std::make_unique<watched[]>(chunk_size);
    for (std::size_t i = 0; i < chunk_size; ++i)
      made[i].fd = static_cast<int>(chunk * chunk_size + i);
    chunks_[chunk] = std::move(made);
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  return 0;
}

int watched_descriptors::watch(watched& w, bool ours, pending_list& orphans) noexcept {
  w.age = age_of_descriptor(w.fd);
  w.unwanted = 0;
  epoll_event wanted{.events = all_edges, .data = {.u64 = token_of(w)}};
  // What is registered tells its edges anew.
  int error = !w.registered || ::epoll_ctl(epoll_, EPOLL_CTL_MOD, w.fd, &wanted) != 0 ? ENOENT : 0;
  if (error != 0) {
    error = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, w.fd, &wanted) == 0 ? 0 : errno;
    if (error == 0) {
      // A file that epoll did not know: what waits under this number waits for another one.
      w.waiting.move_to(orphans);
      w.ours = false;
    } else if (error == EEXIST) {
      error = ::epoll_ctl(epoll_, EPOLL_CTL_MOD, w.fd, &wanted) == 0 ? 0 : errno;
    }
  }
  w.registered = error == 0;
  if (error == ENOSPC) error = ENOMEM;       // this user's watches: they come back, as memory does
  w.readable = w.writable = w.over = false;  // W1: an edge comes at once for what there is
  if (ours && !w.ours && error == 0) {
    w.ours = true;
    w.tcp = is_tcp(w.fd);
  }
  return -error;
}

void watched_descriptors::note_unwanted(watched& w) noexcept {
  if (++w.unwanted < unwanted_max) return;
  // Another worker may be closing it meanwhile: of what epoll does not know, a new file of the same
  // number included, this does nothing. By number, since ThreadSanitizer takes the library's
  // function for a use of the descriptor.
  ::syscall(SYS_epoll_ctl, epoll_, EPOLL_CTL_DEL, w.fd, nullptr);
  w.registered = false;
}

int watched_descriptors::wait(std::span<epoll_event> out, std::int64_t timeout_ns) noexcept {
  const int room = static_cast<int>(out.size());
  if (timeout_ns > 0 && has_nanoseconds_) {
    const timespec timeout{.tv_sec = timeout_ns / 1'000'000'000,
                           .tv_nsec = timeout_ns % 1'000'000'000};
    const int n = ::epoll_pwait2(epoll_, out.data(), room, &timeout, nullptr);
    if (n >= 0) return n;
    // EPERM: a seccomp filter that is older than the call.
    if (errno != ENOSYS && errno != EPERM) return -errno;
    has_nanoseconds_ = false;
  }
  // Rounded up: what waits for a time is never early.
  const std::int64_t ms = timeout_ns <= 0 ? timeout_ns : (timeout_ns + 999'999) / 1'000'000;
  const int timeout_ms = static_cast<int>(std::clamp<std::int64_t>(ms, -1, INT_MAX));
  const int n = ::epoll_wait(epoll_, out.data(), room, timeout_ms);
  return n >= 0 ? n : -errno;
}

watched* watched_descriptors::note(const epoll_event& edge) noexcept {
  watched* const w = known(static_cast<int>(edge.data.u64 & UINT32_MAX));
  if (w == nullptr || !w->registered || token_of(*w) != edge.data.u64) return nullptr;
  w->readable |= (edge.events & read_edges) != 0;
  w->writable |= (edge.events & write_edges) != 0;
  w->over |= (edge.events & last_edges) != 0;
  return w;
}

}  // namespace weft::detail

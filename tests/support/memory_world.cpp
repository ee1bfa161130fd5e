// SPDX-License-Identifier: MIT
#include "support/memory_world.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>

namespace weft::tests {

namespace {

std::uint16_t& port_of(sockaddr_storage& address) noexcept {
  return address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

socklen_t size_of(const sockaddr_storage& address) noexcept {
  return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

sockaddr_storage copy_of(const void* address, std::size_t length) noexcept {
  sockaddr_storage copy{};
  std::memcpy(&copy, address, std::min(length, sizeof copy));
  return copy;
}

int give(const sockaddr_storage& from, sockaddr* to, socklen_t* length) noexcept {
  std::memcpy(to, &from, std::min(*length, size_of(from)));
  *length = size_of(from);
  return 0;
}

const char* path_of(const io_uring_sqe& entry) noexcept {
  return reinterpret_cast<const char*>(entry.addr);
}

}  // namespace

std::optional<int> memory_world::perform(const io_uring_sqe& entry) {
  switch (entry.opcode) {
  case IORING_OP_NOP:
    return 0;
  case IORING_OP_OPENAT:
    return open(entry);
  case IORING_OP_STATX:
    return status(entry);
  case IORING_OP_READ:
    return read(entry);
  case IORING_OP_WRITE:
    return write(entry);
  case IORING_OP_FSYNC:
    return find(entry.fd) != nullptr ? 0 : -EBADF;
  case IORING_OP_UNLINKAT:
    return files.erase(path_of(entry)) == 1 ? 0 : -ENOENT;
  case IORING_OP_RECV:
    return receive(entry);
  case IORING_OP_SEND:
    return send(entry);
  case IORING_OP_ACCEPT:
    return accept(entry);
  case IORING_OP_CONNECT:
    return connect(entry);
  case IORING_OP_POLL_ADD:
    return poll(entry);
  case IORING_OP_SHUTDOWN:
    return shutdown(entry.fd, static_cast<int>(entry.len));
  case IORING_OP_CLOSE:
    return close(entry.fd);
  default:
    return -EINVAL;
  }
}

int memory_world::add(description d) {
  int fd = first_descriptor;
  while (open_.contains(fd)) ++fd;
  open_.emplace(fd, std::move(d));
  return fd;
}

memory_world::description* memory_world::find(int fd) {
  const auto found = open_.find(fd);
  return found == open_.end() ? nullptr : &found->second;
}

memory_world::stream* memory_world::find_stream(int fd) {
  description* const d = find(fd);
  return d == nullptr ? nullptr : d->connection.get();
}

int memory_world::open(const io_uring_sqe& entry) {
  const auto flags = static_cast<int>(entry.open_flags);
  const auto found = files.find(path_of(entry));
  if (found == files.end()) {
    if ((flags & O_CREAT) == 0) return -ENOENT;
    return add({files[path_of(entry)] = std::make_shared<std::string>(), flags, {}});
  }
  if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
  if ((flags & O_TRUNC) != 0) found->second->clear();
  return add({found->second, flags, {}});
}

int memory_world::status(const io_uring_sqe& entry) {
  const std::string* contents = nullptr;
  if (*path_of(entry) == '\0') {
    const description* const d = find(entry.fd);
    if (d == nullptr) return -EBADF;
    contents = d->contents.get();
  } else {
    const auto found = files.find(path_of(entry));
    if (found == files.end()) return -ENOENT;
    contents = found->second.get();
  }
  struct statx status{};
  status.stx_mask = STATX_BASIC_STATS;
  status.stx_mode = contents != nullptr ? S_IFREG | 0644 : S_IFSOCK | 0644;
  status.stx_size = contents != nullptr ? contents->size() : 0;
  std::memcpy(reinterpret_cast<void*>(entry.addr2), &status, sizeof status);
  return 0;
}

int memory_world::catch_signals(std::uint64_t set, signal_catch how) {
  return add({.signals = caught_signals{.set = set, .how = how}});
}

int memory_world::send_signal(int number) {
  int told = 0;
  for (auto& [fd, d] : open_) {
    if (!d.signals || d.signals->came != 0 || (d.signals->set >> (number - 1) & 1) == 0) continue;
    d.signals->came = number;
    ++told;
  }
  if (told != 0) ++changes_;
  return told;
}

int memory_world::release_signals(int fd) {
  const description* const d = find(fd);
  const int came = d != nullptr && d->signals ? d->signals->came : 0;
  close(fd);
  return came;
}

std::optional<int> memory_world::read(const io_uring_sqe& entry) {
  description* const d = find(entry.fd);
  if (d != nullptr && d->signals) {
    if (d->signals->came == 0) return std::nullopt;
    const auto number = static_cast<std::uint64_t>(d->signals->came);
    std::memcpy(reinterpret_cast<void*>(entry.addr), &number, sizeof number);
    if (d->signals->how == signal_catch::every) d->signals->came = 0;
    return sizeof number;
  }
  if (d == nullptr || d->contents == nullptr || (d->flags & O_ACCMODE) == O_WRONLY) return -EBADF;
  const std::string& contents = *d->contents;
  if (entry.off >= contents.size()) return 0;
  const std::size_t count =
      std::min<std::size_t>({entry.len, contents.size() - entry.off, transfer_max});
  std::memcpy(reinterpret_cast<void*>(entry.addr), contents.data() + entry.off, count);
  return static_cast<int>(count);
}

int memory_world::write(const io_uring_sqe& entry) {
  description* const d = find(entry.fd);
  if (d == nullptr || d->contents == nullptr || (d->flags & O_ACCMODE) == O_RDONLY) return -EBADF;
  std::string& contents = *d->contents;
  const std::size_t begin = (d->flags & O_APPEND) != 0 ? contents.size() : entry.off;
  const std::size_t count = std::min<std::size_t>(entry.len, transfer_max);
  if (contents.size() < begin + count) contents.resize(begin + count);
  std::memcpy(contents.data() + begin, reinterpret_cast<const void*>(entry.addr), count);
  return static_cast<int>(count);
}

std::optional<int> memory_world::receive(const io_uring_sqe& entry) {
  stream* const s = find_stream(entry.fd);
  if (s == nullptr) return find(entry.fd) != nullptr ? -ENOTSOCK : -EBADF;
  if (!s->connected) return -ENOTCONN;
  if (s->received.empty()) return s->reading_ended ? std::optional(0) : std::nullopt;
  const std::size_t count = std::min<std::size_t>({entry.len, s->received.size(), transfer_max});
  std::memcpy(reinterpret_cast<void*>(entry.addr), s->received.data(), count);
  s->received.erase(0, count);
  ++changes_;
  return static_cast<int>(count);
}

std::optional<int> memory_world::send(const io_uring_sqe& entry) {
  stream* const s = find_stream(entry.fd);
  if (s == nullptr) return find(entry.fd) != nullptr ? -ENOTSOCK : -EBADF;
  if (!s->connected) return -ENOTCONN;
  const std::shared_ptr<stream> other = s->other.lock();
  if (s->writing_ended || other == nullptr) return -EPIPE;
  const std::size_t room = stream_capacity - std::min(stream_capacity, other->received.size());
  if (room == 0) return std::nullopt;
  const std::size_t count = std::min<std::size_t>({entry.len, room, transfer_max});
  other->received.append(reinterpret_cast<const char*>(entry.addr), count);
  ++changes_;
  return static_cast<int>(count);
}

std::optional<int> memory_world::accept(const io_uring_sqe& entry) {
  stream* const s = find_stream(entry.fd);
  if (s == nullptr) return find(entry.fd) != nullptr ? -ENOTSOCK : -EBADF;
  if (!s->listening || s->reading_ended) return -EINVAL;
  if (s->backlog.empty()) return std::nullopt;
  const std::shared_ptr<stream> accepted = std::move(s->backlog.front());
  s->backlog.pop_front();
  return add({{}, O_RDWR, accepted});
}

std::optional<int> memory_world::poll(const io_uring_sqe& entry) {
  const description* const d = find(entry.fd);
  if (d == nullptr) return -EBADF;
  unsigned ready = POLLIN | POLLOUT;
  if (const stream* const s = d->connection.get()) {
    const std::shared_ptr<stream> other = s->other.lock();
    ready = 0;
    if (!s->received.empty() || s->reading_ended || !s->backlog.empty()) ready |= POLLIN;
    if (other != nullptr && other->received.size() < stream_capacity) ready |= POLLOUT;
  }
  ready &= entry.poll32_events;
  return ready != 0 ? std::optional(static_cast<int>(ready)) : std::nullopt;
}

int memory_world::connect(const io_uring_sqe& entry) {
  description* const d = find(entry.fd);
  if (d == nullptr) return -EBADF;
  if (d->connection == nullptr) return -ENOTSOCK;
  if (d->connection->connected) return -EISCONN;
  sockaddr_storage wanted = copy_of(reinterpret_cast<const void*>(entry.addr), entry.off);
  for (auto& [fd, listener] : open_) {
    stream* const l = listener.connection.get();
    if (l == nullptr || !l->listening || l->reading_ended ||
        l->local.ss_family != wanted.ss_family || port_of(l->local) != port_of(wanted))
      continue;
    stream& near = *d->connection;
    if (near.local.ss_family == AF_UNSPEC) {
      near.local = wanted;
      port_of(near.local) = htons(next_port_++);
    }
    near.peer = wanted;
    const auto far = std::make_shared<stream>();
    far->local = wanted;
    far->peer = near.local;
    far->other = d->connection;
    near.other = far;
    near.connected = far->connected = true;
    l->backlog.push_back(far);
    ++changes_;
    return 0;
  }
  return -ECONNREFUSED;
}

int memory_world::socket(int domain, int type) {
  if (domain != AF_INET && domain != AF_INET6) return -EAFNOSUPPORT;
  if ((type & SOCK_STREAM) == 0) return -EPROTONOSUPPORT;
  return add({{}, O_RDWR, std::make_shared<stream>()});
}

int memory_world::bind(int fd, const sockaddr* address, socklen_t length) {
  stream* const s = find_stream(fd);
  if (s == nullptr) return -EBADF;
  sockaddr_storage wanted = copy_of(address, length);
  if (port_of(wanted) == 0) port_of(wanted) = htons(next_port_++);
  for (auto& [other, d] : open_)
    if (d.connection != nullptr && d.connection->listening &&
        port_of(d.connection->local) == port_of(wanted))
      return -EADDRINUSE;
  s->local = wanted;
  return 0;
}

int memory_world::listen(int fd) {
  stream* const s = find_stream(fd);
  if (s == nullptr) return -EBADF;
  s->listening = true;
  return 0;
}

int memory_world::shutdown(int fd, int how) {
  stream* const s = find_stream(fd);
  if (s == nullptr) return -EBADF;
  if (!s->connected && !s->listening) return -ENOTCONN;
  if (how != SHUT_WR) s->reading_ended = true;
  if (how != SHUT_RD) {
    s->writing_ended = true;
    if (const std::shared_ptr<stream> other = s->other.lock()) other->reading_ended = true;
  }
  ++changes_;
  return 0;
}

int memory_world::close(int fd) {
  if (find(fd) == nullptr) return -EBADF;
  // Alone it ends a stream; one that waits to be accepted is held by the listener's backlog.
  (void)shutdown(fd, SHUT_RDWR);
  open_.erase(fd);
  ++changes_;
  return 0;
}

int memory_world::local_address(int fd, sockaddr* address, socklen_t* length) {
  stream* const s = find_stream(fd);
  return s == nullptr ? -EBADF : give(s->local, address, length);
}

int memory_world::peer_address(int fd, sockaddr* address, socklen_t* length) {
  stream* const s = find_stream(fd);
  if (s == nullptr) return -EBADF;
  return s->connected ? give(s->peer, address, length) : -ENOTCONN;
}

}  // namespace weft::tests

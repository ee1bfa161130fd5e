// SPDX-License-Identifier: MIT
#pragma once
// Descriptors for tests that speak to a kernel directly: closed at the end of their scope, and made
// by plain system calls.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::tests {

/// Owns a descriptor's number.
class owned_fd {
public:
  owned_fd() = default;
  explicit owned_fd(int fd) noexcept : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(other.release()) {}
  owned_fd& operator=(owned_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~owned_fd() { close(); }

  operator int() const noexcept { return fd_; }
  /// Somebody else closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept {
    if (fd_ >= 0) ::close(release());
  }

private:
  int fd_ = -1;
};

/// Two ends of a connection, or of a pipe: what is written to `far` can be read from `near`.
struct fd_pair {
  owned_fd near;
  owned_fd far;
};

inline fd_pair unix_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {owned_fd(ends[0]), owned_fd(ends[1])};
}

inline fd_pair pipe_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {owned_fd(ends[0]), owned_fd(ends[1])};
}

inline sockaddr_in loopback(std::uint16_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// What the system calls and liburing's functions want of an address.
inline sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

inline sockaddr_in address_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, generic(address), &size) == 0);
  return address;
}

/// A socket that is bound to a port of the system's choice.
inline owned_fd bound_socket(int type) {
  owned_fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  REQUIRE(fd >= 0);
  // Connections of earlier tests linger, and may have used up the ports otherwise.
  const int on = 1;
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  sockaddr_in address = loopback();
  REQUIRE(::bind(fd, generic(address), sizeof address) == 0);
  return fd;
}

/// Holds a port on which nobody listens: no other socket can have it.
inline owned_fd silent_port() {
  owned_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback();
  REQUIRE(::bind(fd, generic(address), sizeof address) == 0);
  return fd;
}

inline owned_fd listening_socket(int backlog = 16) {
  owned_fd fd = bound_socket(SOCK_STREAM);
  REQUIRE(::listen(fd, backlog) == 0);
  return fd;
}

inline owned_fd tcp_socket(int flags = 0) {
  owned_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  REQUIRE(fd >= 0);
  return fd;
}

inline owned_fd tcp_connected_to(int listener) {
  owned_fd fd = tcp_socket();
  sockaddr_in address = address_of(listener);
  REQUIRE(::connect(fd, generic(address), sizeof address) == 0);
  return fd;
}

inline fd_pair tcp_pair() {
  const owned_fd listener = listening_socket();
  owned_fd far = tcp_connected_to(listener);
  owned_fd near(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(near >= 0);
  return {std::move(near), std::move(far)};
}

inline owned_fd event_counter() {
  owned_fd fd(::eventfd(0, EFD_CLOEXEC));
  REQUIRE(fd >= 0);
  return fd;
}

/// Writes all of it, plainly.
inline void put(int fd, std::string_view text) {
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

/// Reads once, plainly.
inline std::string take(int fd, std::size_t size) {
  std::string text(size, '\0');
  const ssize_t n = ::read(fd, text.data(), size);
  REQUIRE(n >= 0);
  text.resize(static_cast<std::size_t>(n));
  return text;
}

/// A TCP connection that is closed so ends with a reset.
inline void reset_at_close(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
}

}  // namespace weft::tests

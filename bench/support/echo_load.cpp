// SPDX-License-Identifier: MIT
#include "bench/support/echo_load.hpp"

#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace bench {

namespace {

/// What a failed send is known by; one that succeeds tells nothing.
constexpr std::uint64_t failed_send = UINT64_MAX;

owned_fd connected(std::uint16_t port) {
  owned_fd socket(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
          "connect");
  const int on = 1;
  checked(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
  return socket;
}

}  // namespace

echo_load::echo_load(std::uint16_t port) : ring_(128), connections_(connections) {
  static_assert(2 * connections <= 128, "every connection may queue a send and a receive");
  for (connection& c : connections_) c.socket = connected(port);
  for (std::size_t i = 0; i < connections; ++i) send_next(i);
}

void echo_load::send_next(std::size_t index) noexcept {
  connection& c = connections_[index];
  c.sent.fill(++number_);
  c.received.fill(0);
  io_uring_sqe& send = ring_.entry(failed_send);
  io_uring_prep_send(&send, c.socket.get(), c.sent.data(), message_bytes, MSG_NOSIGNAL);
  send.flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_prep_recv(&ring_.entry(index), c.socket.get(), c.received.data(), message_bytes,
                     MSG_WAITALL);
}

void echo_load::check_echo(std::size_t index, int bytes) {
  if (index == failed_send || bytes < 0)
    throw std::system_error(-bytes, std::system_category(), "echo_load");
  if (bytes != static_cast<int>(message_bytes))
    throw std::runtime_error("echo_load: the server has closed a connection");
  const connection& c = connections_[index];
  if (c.received != c.sent) ++wrong_;
}

void echo_load::run(std::size_t echoes) {
  for (std::size_t seen = 0; seen < echoes;)
    ring_.turn([&](std::uint64_t index, int bytes) {
      check_echo(index, bytes);
      send_next(index);
      ++seen;
    });
}

void echo_load::finish() {
  for (std::size_t seen = 0; seen < connections;)
    ring_.turn([&](std::uint64_t index, int bytes) {
      check_echo(index, bytes);
      ++seen;
    });
}

}  // namespace bench

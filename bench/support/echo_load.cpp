// SPDX-License-Identifier: MIT
#include "bench/support/echo_load.hpp"

#include "bench/support/loopback.hpp"

#include <stdexcept>
#include <system_error>

#include <sys/socket.h>

namespace bench {

namespace {

/// What a failed send is known by; one that succeeds tells nothing.
constexpr std::uint64_t failed_send = UINT64_MAX;

}  // namespace

echo_load::echo_load(std::uint16_t port, std::size_t connections)
    : ring_(static_cast<unsigned>(2 * connections)), connections_(connections) {
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
  ++done_;
}

void echo_load::run(std::size_t echoes) {
  wanted_ += echoes;
  while (done_ < wanted_)
    ring_.turn([this](std::uint64_t index, int bytes) {
      check_echo(index, bytes);
      send_next(index);
    });
}

void echo_load::finish() {
  const std::size_t all = done_ + connections_.size();
  while (done_ < all)
    ring_.turn([this](std::uint64_t index, int bytes) { check_echo(index, bytes); });
}

}  // namespace bench

// SPDX-License-Identifier: MIT
#pragma once
// Load for an echo server: connections that each send a message, wait for it to come back, compare
// it and send the next. Raw io_uring, about a system call for a batch of echoes, so that the server
// is what is measured.

#include "bench/support/descriptors.hpp"
#include "bench/support/raw_ring.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// Used by the thread that makes it.
class echo_load {
public:
  static constexpr std::size_t message_bytes = 64;

  /// Connects to a port of this machine and sends the first messages.
  echo_load(std::uint16_t port, std::size_t connections);

  /// Until `echoes` more have come back; those that came with the last of them count for the next
  /// call. The others stay under way.
  void run(std::size_t echoes);

  /// Takes the echoes that are under way and sends no more: after that the end of the connections
  /// looks like an end to the server, not like a failure.
  void finish();

  /// Echoes that have come back so far.
  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  /// Echoes that were not what had been sent.
  [[nodiscard]] std::size_t wrong() const noexcept { return wrong_; }

private:
  using message = std::array<std::uint64_t, message_bytes / sizeof(std::uint64_t)>;

  struct connection {
    owned_fd socket;
    message sent{};
    message received{};
  };

  void send_next(std::size_t index) noexcept;
  void check_echo(std::size_t index, int bytes);

  raw_ring ring_;  // a connection may queue a send and a receive in each batch
  std::vector<connection> connections_;
  std::uint64_t number_ = 0;
  std::size_t wanted_ = 0;
  std::size_t done_ = 0;
  std::size_t wrong_ = 0;
};

}  // namespace bench

// SPDX-License-Identifier: MIT
#pragma once
// Where TCP connections arrive. One task accepts at a time; serve() is the loop around it.

#include "weft/io/tcp_stream.hpp"

#include <utility>

namespace weft {

/// How a listener listens.
struct listen_options {
  bool reuse_port = false;  // several listeners share the port, the kernel spreads connections
  int backlog = 4096;       // connections that wait to be accepted; the system may bound it further
};

namespace detail {

class accept_operation : public descriptor_operation<accept_operation, tcp_stream> {
public:
  static constexpr const char* name = "tcp_listener::accept";

  explicit accept_operation(descriptor& d) noexcept
      : descriptor_operation(d, descriptor_use::read) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<tcp_stream> success(int fd) noexcept { return tcp_stream(descriptor(*kernel_, fd)); }

private:
  kernel* kernel_ = nullptr;  // the connection's, like the listener's own
};

}  // namespace detail

/// A listening TCP socket, owned: closed when it is destroyed.
///
/// Thread:   bind() from any thread, also outside a runtime; the rest from any worker, one accept
///           at a time.
/// Lifetime: stays where it is while an accept is in flight.
class tcp_listener {
public:
  /// Closed; to be assigned to.
  tcp_listener() noexcept = default;

  /// Binds and listens.
  ///
  /// Shape:    "127.0.0.1:8080", "0.0.0.0:8080" for every IPv4 address, "[::]:8080"; port 0 lets
  ///           the system choose, local_endpoint() tells.
  /// Errors:   system_error naming the address: EADDRINUSE, EACCES, EADDRNOTAVAIL, EMFILE.
  /// Cost:     four system calls.
  static tcp_listener bind(const endpoint& local, listen_options options = {});

  /// Waits for a connection.
  ///
  /// Returns:  the connection. One that arrived while a cancel was on its way is delivered, never
  ///           lost.
  /// Errors:   ECONNABORTED, EMFILE, ENFILE, ENOBUFS and network errors of the connection itself:
  ///           serve() knows which are no reason to stop. EBADF when closed, also by another task
  ///           meanwhile; EBUSY while another task accepts; cancelled, and nothing was accepted.
  /// Cost:     one SQE, no allocation, no system call of its own.
  /// Source:   IORING_OP_ACCEPT (Linux 5.5), accept4(2) with SOCK_CLOEXEC.
  [[nodiscard]] detail::accept_operation accept() noexcept {
    return detail::accept_operation(socket_);
  }

  /// The connections that arrive, one after the other, for loops that serve() does not fit.
  ///
  /// Returns:  no end: it goes on after errors that concern one connection only, and pauses when
  ///           descriptors or memory have run out, as serve() does.
  /// Errors:   bad_file_descriptor when the listener is closed; other errors of accept() that no
  ///           waiting mends.
  /// Lifetime: the listener outlives the generator, and stays where it is.
  /// Cost:     two frames; one SQE for each connection.
  async_generator<tcp_stream> connections();

  /// Stops listening; a pending accept ends with bad_file_descriptor. A stop neither refuses nor
  /// interrupts it. Again: nothing happens.
  task<> close() { return socket_.close(detail::descriptor::kind::socket); }

  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }

  /// Errors:   system_error.
  [[nodiscard]] endpoint local_endpoint() const;

private:
  explicit tcp_listener(detail::descriptor socket) noexcept : socket_(std::move(socket)) {}

  mutable detail::descriptor socket_;
};

}  // namespace weft

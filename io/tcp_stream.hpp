// SPDX-License-Identifier: MIT
#pragma once
// A TCP connection. One task may read while another writes; every wait is one submission to the
// ring of the worker that the task runs on. `read` and `write` move what they can, `read_exact` and
// `write_all` everything.

#include "weft/io/address.hpp"
#include "weft/io/buffer.hpp"
#include "weft/io/descriptor_operation.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/task.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

namespace weft {

/// Which half of a connection.
enum class direction { read, write, both };

namespace detail {

class receive_operation : public descriptor_operation<receive_operation, std::size_t> {
public:
  static constexpr const char* name = "tcp_stream::read";

  /// `if_empty`: what comes of an empty buffer, 0 or -errno.
  receive_operation(descriptor& d, mutable_buffer b, int if_empty) noexcept;

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<std::size_t> success(int n) noexcept { return static_cast<std::size_t>(n); }

private:
  std::byte* data_;
  unsigned size_;
};

class send_operation : public descriptor_operation<send_operation, std::size_t> {
public:
  static constexpr const char* name = "tcp_stream::write";

  send_operation(descriptor& d, const_buffer b) noexcept;

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<std::size_t> success(int n) noexcept { return static_cast<std::size_t>(n); }

private:
  const std::byte* data_;
  unsigned size_;
};

class accept_operation;

/// A cold call in the shape of an operation: over at once, refused when the scope is stopped.
class shutdown_operation : public awaitable_operation<shutdown_operation, void> {
public:
  static constexpr const char* name = "tcp_stream::shutdown";

  shutdown_operation(descriptor& d, int how) noexcept : descriptor_(&d), how_(how) {}

  bool try_now(worker&) noexcept;
  bool start(worker&) noexcept { return false; }
  static bool withdraw(operation&, worker&) noexcept { return false; }
  result<void> finish() noexcept;

private:
  descriptor* descriptor_;
  int how_;
  int error_ = 0;
};

}  // namespace detail

/// A TCP connection, owned: closed when it is destroyed.
///
/// Thread:   any worker; one read and one write may overlap, a second of a kind gets
///           device_or_resource_busy.
/// Lifetime: stays where it is while an operation on it is in flight; moved between operations.
/// Errors:   on a closed or moved-from stream every call gives bad_file_descriptor.
class tcp_stream {
public:
  /// Closed; to be assigned to.
  tcp_stream() noexcept = default;

  /// Connects to `peer`.
  ///
  /// Shape:    an endpoint, or its text: "127.0.0.1:8080", "[::1]:8080".
  /// Errors:   invalid_argument for a text that is none (from the call itself); ECONNREFUSED,
  ///           ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EMFILE, naming the peer; cancelled, and the
  ///           socket is closed.
  /// Thread:   any worker.
  /// Cost:     one frame, one system call for the socket, one SQE.
  /// Source:   IORING_OP_CONNECT (Linux 5.5), connect(2).
  static task<tcp_stream> connect(endpoint peer);

  /// Receives at least one byte into `buffer`.
  ///
  /// Shape:    contiguous writable bytes, at least one (0 would look like the end of the stream:
  ///           invalid_argument).
  /// Returns:  bytes received, 1..buffer.size(); 0 when the peer has closed its side.
  /// Errors:   ECONNRESET, ETIMEDOUT; EBADF when closed, also by another task meanwhile; EBUSY
  ///           while another task reads; cancelled, and nothing arrived.
  /// Lifetime: stream and buffer outlive the co_await.
  /// Cost:     one SQE, no allocation, no system call of its own.
  /// Source:   IORING_OP_RECV (Linux 5.6), recv(2).
  [[nodiscard]] detail::receive_operation read(mutable_buffer buffer) noexcept {
    return {socket_, buffer, -EINVAL};
  }

  /// Fills the whole buffer.
  ///
  /// Shape:    any number of bytes; an empty buffer is full already.
  /// Errors:   io_error with transferred(): no_message_available when the stream ended before, else
  ///           those of read(); cancelled with transferred().
  /// Cost:     one frame from the worker's cache, one SQE for each piece that arrives.
  task<> read_exact(mutable_buffer buffer);

  /// The lines to the end of the stream, without their ends ("\n" or "\r\n"); the last one may lack
  /// it. For streams that carry nothing else: bytes behind a line are the generator's. A
  /// buffered_reader (buffered_reader.hpp) keeps them for other calls.
  ///
  /// Errors:   message_size for a line of more than `size_max` bytes before its "\n"; those of
  ///           read().
  /// Lifetime: the stream outlives the generator, and stays where it is.
  /// Cost:     one frame, memory for up to twice the longest line; one SQE for each piece that
  ///           arrives, one string for each line.
  async_generator<std::string> lines(std::size_t size_max = 64 * 1024);

  /// Sends some of `data`, at least one byte.
  ///
  /// Returns:  bytes taken by the kernel, 1..data.size(); 0 only for no data.
  /// Errors:   EPIPE (no signal), ECONNRESET, ETIMEDOUT; EBADF when closed, also by another task
  ///           meanwhile; EBUSY while another task writes; cancelled, and nothing was sent.
  /// Lifetime: stream and data outlive the co_await.
  /// Cost:     one SQE, no allocation, no system call of its own.
  /// Source:   IORING_OP_SEND (Linux 5.6), send(2) with MSG_NOSIGNAL.
  [[nodiscard]] detail::send_operation write(const_buffer data) noexcept { return {socket_, data}; }

  /// Sends everything.
  ///
  /// Errors:   io_error with transferred(), cancelled with transferred(): how much was sent before.
  /// Cost:     one frame from the worker's cache, one SQE for each piece that the kernel takes.
  task<> write_all(const_buffer data);

  /// Ends one half of the connection: after `direction::write` the peer reads to the end of the
  /// stream.
  ///
  /// Errors:   ENOTCONN, EBADF; cancelled, and nothing happened.
  /// Cost:     one system call, does not wait.
  [[nodiscard]] detail::shutdown_operation shutdown(direction d = direction::write) noexcept;

  /// Closes. Operations of other tasks end first (bad_file_descriptor), the peer sees the end of
  /// the stream. A stop neither refuses nor interrupts it. Again: nothing happens.
  ///
  /// Cost:     one frame, one SQE. The destructor does without both, but asks that nothing is in
  ///           flight.
  /// Source:   IORING_OP_CLOSE (Linux 5.6).
  task<> close() { return socket_.close(detail::descriptor::kind::socket); }

  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }

  /// Sends small writes at once instead of collecting them (TCP_NODELAY). Errors: system_error.
  void set_nodelay(bool on);
  /// Lets the kernel probe an idle connection (SO_KEEPALIVE). Errors: system_error.
  void set_keepalive(bool on);
  /// Bounds what the kernel buffers for sending, roughly (SO_SNDBUF). Errors: system_error.
  void set_send_buffer(int bytes);
  /// The same for receiving (SO_RCVBUF).
  void set_receive_buffer(int bytes);
  /// Errors:   system_error.
  [[nodiscard]] endpoint local_endpoint() const;
  /// Errors:   system_error, ENOTCONN once the connection is gone.
  [[nodiscard]] endpoint peer_endpoint() const;

private:
  friend class detail::accept_operation;

  explicit tcp_stream(detail::descriptor socket) noexcept : socket_(std::move(socket)) {}

  mutable detail::descriptor socket_;
};

}  // namespace weft

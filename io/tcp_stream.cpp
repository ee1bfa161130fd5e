// SPDX-License-Identifier: MIT
#include "weft/io/tcp_stream.hpp"

#include "weft/io/buffered_reader.hpp"
#include "weft/io/socket.hpp"
#include "weft/io/transfer_all.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/error.hpp"

#include <liburing.h>

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace weft {

namespace detail {

namespace {

class connect_operation : public descriptor_operation<connect_operation, void> {
public:
  static constexpr const char* name = "tcp_stream::connect";

  connect_operation(descriptor& d, const endpoint& peer) noexcept
      : descriptor_operation(d, descriptor_use::write), peer_(&peer) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
    const auto& self = static_cast<connect_operation&>(op);
    io_uring_prep_connect(&sqe, self.fd(), self.peer_->native(), self.peer_->native_size());
  }
  result<void> success(int) noexcept { return {}; }

private:
  const endpoint* peer_;
};

}  // namespace

receive_operation::receive_operation(descriptor& d, mutable_buffer b, int if_empty) noexcept
    : descriptor_operation(d, descriptor_use::read), data_(b.data()),
      size_(clamp_transfer(b.size())) {
  if (b.size() == 0) settle(d.is_open() ? if_empty : -EBADF);
}

void receive_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  const auto& self = static_cast<receive_operation&>(op);
  io_uring_prep_recv(&sqe, self.fd(), self.data_, self.size_, 0);
}

send_operation::send_operation(descriptor& d, const_buffer b) noexcept
    : descriptor_operation(d, descriptor_use::write), data_(b.data()),
      size_(clamp_transfer(b.size())) {
  if (b.size() == 0) settle(d.is_open() ? 0 : -EBADF);
}

void send_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  const auto& self = static_cast<send_operation&>(op);
  io_uring_prep_send(&sqe, self.fd(), self.data_, self.size_, MSG_NOSIGNAL);
}

bool shutdown_operation::try_now(worker&) noexcept {
  error_ = -descriptor_->try_begin(descriptor_use::shared);
  if (error_ != 0) return true;
  error_ = descriptor_->kernel_used().shutdown(descriptor_->fd(), how_);
  descriptor_->end(descriptor_use::shared);
  return true;
}

result<void> shutdown_operation::finish() noexcept {
  if (error_ < 0) return failure{std::error_code(-error_, std::system_category())};
  return {};
}

}  // namespace detail

task<tcp_stream> tcp_stream::connect(endpoint peer) {
  detail::descriptor socket = detail::open_socket(peer, SOCK_STREAM, "tcp_stream::connect");
  auto step = as_result(detail::connect_operation(socket, peer));
  const result<void> connected = co_await step;
  if (!connected) detail::throw_socket_error(connected.error(), "tcp_stream::connect", peer);
  co_return tcp_stream(std::move(socket));
}

task<> tcp_stream::read_exact(mutable_buffer buffer) {
  return detail::transfer_all(
      [this, buffer](std::size_t done) {
        return detail::receive_operation(socket_, buffer.from(done), 0);
      },
      buffer.size(), "tcp_stream::read_exact", std::errc::no_message_available, "the stream ended");
}

async_generator<std::string> tcp_stream::lines(std::size_t size_max) {
  return detail::lines_of(detail::stream_source<tcp_stream>{this}, nullptr, size_max);
}

task<> tcp_stream::write_all(const_buffer data) {
  return detail::transfer_all(
      [this, data](std::size_t done) { return detail::send_operation(socket_, data.from(done)); },
      data.size(), "tcp_stream::write_all", std::errc::io_error, "the kernel takes nothing");
}

detail::shutdown_operation tcp_stream::shutdown(direction d) noexcept {
  switch (d) {
  case direction::read:
    return {socket_, SHUT_RD};
  case direction::write:
    return {socket_, SHUT_WR};
  case direction::both:
    break;
  }
  return {socket_, SHUT_RDWR};
}

void tcp_stream::set_nodelay(bool on) {
  detail::set_socket_option(socket_, IPPROTO_TCP, TCP_NODELAY, on, "tcp_stream::set_nodelay");
}

void tcp_stream::set_keepalive(bool on) {
  detail::set_socket_option(socket_, SOL_SOCKET, SO_KEEPALIVE, on, "tcp_stream::set_keepalive");
}

void tcp_stream::set_send_buffer(int bytes) {
  detail::set_socket_option(socket_, SOL_SOCKET, SO_SNDBUF, bytes, "tcp_stream::set_send_buffer");
}

void tcp_stream::set_receive_buffer(int bytes) {
  detail::set_socket_option(socket_, SOL_SOCKET, SO_RCVBUF, bytes,
                            "tcp_stream::set_receive_buffer");
}

endpoint tcp_stream::local_endpoint() const {
  return detail::local_endpoint_of(socket_, "tcp_stream::local_endpoint");
}

endpoint tcp_stream::peer_endpoint() const {
  return detail::peer_endpoint_of(socket_, "tcp_stream::peer_endpoint");
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/io/tcp_listener.hpp"

#include "weft/io/serve.hpp"
#include "weft/io/socket.hpp"

#include <liburing.h>

#include <sys/socket.h>

namespace weft {

void detail::accept_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  auto& self = static_cast<accept_operation&>(op);
  self.kernel_ = &self.descriptor_->kernel_used();
  io_uring_prep_accept(&sqe, self.fd(), nullptr, nullptr, SOCK_CLOEXEC);
}

tcp_listener tcp_listener::bind(const endpoint& local, listen_options options) {
  constexpr const char* call = "tcp_listener::bind";
  detail::descriptor socket = detail::open_socket(local, SOCK_STREAM, call);
  // A server that restarts takes its port back while old connections linger.
  detail::set_socket_option(socket, SOL_SOCKET, SO_REUSEADDR, 1, call);
  if (options.reuse_port) detail::set_socket_option(socket, SOL_SOCKET, SO_REUSEPORT, 1, call);
  kernel& k = socket.kernel_used();
  int res = k.bind(socket.fd(), local.native(), local.native_size());
  if (res == 0) res = k.listen(socket.fd(), options.backlog);
  if (res < 0) detail::throw_socket_error({-res, std::system_category()}, call, local);
  return tcp_listener(std::move(socket));
}

endpoint tcp_listener::local_endpoint() const {
  return detail::local_endpoint_of(socket_, "tcp_listener::local_endpoint");
}

async_generator<tcp_stream> tcp_listener::connections() {
  for (;;) {
    task<tcp_stream> next = detail::next_connection(*this, {});
    tcp_stream stream = co_await std::move(next);
    co_yield std::move(stream);
  }
}

}  // namespace weft

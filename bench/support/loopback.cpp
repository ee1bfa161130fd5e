// SPDX-License-Identifier: MIT
#include "bench/support/loopback.hpp"

#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace bench {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

owned_fd tcp_socket() {
  return owned_fd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
}

void set_nodelay(const owned_fd& socket) {
  const int on = 1;
  checked(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
}

}  // namespace

owned_fd listen_on_loopback(port_promise port) {
  owned_fd listener = tcp_socket();
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const native = reinterpret_cast<sockaddr*>(&address);
  checked(::bind(listener.get(), native, size), "bind");
  checked(::listen(listener.get(), SOMAXCONN), "listen");
  checked(::getsockname(listener.get(), native, &size), "getsockname");
  port.set_value(ntohs(address.sin_port));
  return listener;
}

owned_fd accepted(const owned_fd& listener, int flags) {
  owned_fd socket(
      checked(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | flags), "accept"));
  set_nodelay(socket);
  return socket;
}

owned_fd connected(std::uint16_t port) {
  owned_fd socket = tcp_socket();
  const sockaddr_in address = loopback(port);
  checked(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
          "connect");
  set_nodelay(socket);
  return socket;
}

bool allow_descriptors(std::size_t count) {
  rlimit limit{};
  checked(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  if (limit.rlim_cur >= count) return true;
  if (limit.rlim_max < count) return false;
  limit.rlim_cur = count;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace bench

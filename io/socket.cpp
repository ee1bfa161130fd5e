// SPDX-License-Identifier: MIT
#include "weft/io/socket.hpp"

#include "weft/runtime/error.hpp"

#include <string>

#include <sys/socket.h>

namespace weft::detail {

namespace {

void check(int res, const char* call) {
  if (res < 0) throw_error({-res, std::system_category()}, call);
}

using address_call = int (kernel::*)(int, sockaddr*, socklen_t*) noexcept;

endpoint address_of(descriptor& d, address_call get, const char* call) {
  const descriptor_hold hold(d, call);
  sockaddr_storage storage{};
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t size = sizeof storage;
  check((d.kernel_used().*get)(d.fd(), address, &size), call);
  return endpoint::from_native(*address, size);
}

}  // namespace

descriptor open_socket(const endpoint& e, int type, const char* call) {
  kernel& k = current_kernel();
  const int fd = k.socket(e.family(), type | SOCK_CLOEXEC, 0);
  if (fd < 0) throw_socket_error({-fd, std::system_category()}, call, e);
  return descriptor(k, fd);
}

void throw_socket_error(std::error_code code, const char* call, const endpoint& e) {
  throw_error(code, (std::string(call) + ' ' + e.to_string()).c_str());
}

void set_socket_option(descriptor& d, int level, int name, int value, const char* call) {
  const descriptor_hold hold(d, call);
  check(d.kernel_used().set_option(d.fd(), level, name, &value, sizeof value), call);
}

endpoint local_endpoint_of(descriptor& d, const char* call) {
  return address_of(d, &kernel::local_address, call);
}

endpoint peer_endpoint_of(descriptor& d, const char* call) {
  return address_of(d, &kernel::peer_address, call);
}

}  // namespace weft::detail

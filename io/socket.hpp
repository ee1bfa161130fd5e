// SPDX-License-Identifier: MIT
#pragma once
// The cold calls that every kind of socket needs, asked of the kernel that the socket came from,
// with errors that say which call of the user's failed.

#include "weft/io/address.hpp"
#include "weft/io/descriptor.hpp"

namespace weft::detail {

/// A socket for `e` that is closed on exec, from the kernel of this thread's scheduler.
/// Errors:   system_error "call endpoint: reason".
descriptor open_socket(const endpoint& e, int type, const char* call);

/// Throws system_error "call endpoint: reason" (cancelled for cancelled_code()).
[[noreturn]] void throw_socket_error(std::error_code code, const char* call, const endpoint& e);

// Errors: system_error that begins with `call`; EBADF when the descriptor is closed.
void set_socket_option(descriptor& d, int level, int name, int value, const char* call);
endpoint local_endpoint_of(descriptor& d, const char* call);
endpoint peer_endpoint_of(descriptor& d, const char* call);

}  // namespace weft::detail

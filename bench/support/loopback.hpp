// SPDX-License-Identifier: MIT
#pragma once
// Plain TCP sockets on this machine, as a careful C programmer opens them: for the hand-written
// servers and for the load.

#include "bench/support/descriptors.hpp"

#include <cstddef>
#include <cstdint>
#include <future>

namespace bench {

/// How a server tells which port it listens on.
using port_promise = std::promise<std::uint16_t>;

/// Listens on a port of the system's choice, and tells it.
owned_fd listen_on_loopback(port_promise port);

/// Waits for a connection. `flags` are those of accept4(2), beside SOCK_CLOEXEC.
owned_fd accepted(const owned_fd& listener, int flags = 0);

owned_fd connected(std::uint16_t port);

/// Lets this process open `count` descriptors, if its hard limit does; says whether.
bool allow_descriptors(std::size_t count);

}  // namespace bench

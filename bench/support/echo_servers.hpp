// SPDX-License-Identifier: MIT
#pragma once
// Hand-written TCP echo servers for one core: the least that io_uring and epoll can do it with.
// They take a fixed number of connections, give back what comes in, and return when all of them
// have ended. Messages are small: an answer that does not fit into the socket at once is an error.

#include "bench/support/loopback.hpp"

#include <array>
#include <cstddef>

namespace bench {

/// What one receive can take. Each connection has its own, as where an answer has to wait.
using echo_buffer = std::array<char, 4096>;

/// liburing: one receive and one send at a time on each connection, a system call per batch.
void serve_echoes_by_uring(port_promise port, std::size_t connections);

/// epoll, edge-triggered: a batch of events per wait, then for each a receive and a send at once,
/// and no second receive where the first one has emptied the socket.
void serve_echoes_by_epoll(port_promise port, std::size_t connections);

}  // namespace bench

// SPDX-License-Identifier: MIT
#include "bench/support/echo_servers.hpp"
#include "bench/support/raw_ring.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace bench {

namespace {

class uring_server {
public:
  explicit uring_server(std::size_t connections)
      : ring_(static_cast<unsigned>(connections)), clients_(connections), open_(connections) {}

  void run(port_promise port) {
    const owned_fd listener = listen_on_loopback(std::move(port));
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      clients_[i].socket = accepted(listener);
      receive(i);
    }
    while (open_ != 0)
      ring_.turn([this](std::uint64_t what, int bytes) { go_on(what / 2, what % 2 != 0, bytes); });
  }

private:
  struct client {
    owned_fd socket;
    int unsent = 0;
    echo_buffer bytes;
  };

  void receive(std::size_t i) {
    client& c = clients_[i];
    io_uring_prep_recv(&ring_.entry(2 * i), c.socket.get(), c.bytes.data(), c.bytes.size(), 0);
  }
  void go_on(std::size_t i, bool sent, int bytes) {
    client& c = clients_[i];
    if (sent) {
      if (bytes != c.unsent) throw std::runtime_error("uring_server: a short send");
      receive(i);
    } else if (bytes > 0) {
      c.unsent = bytes;
      io_uring_prep_send(&ring_.entry(2 * i + 1), c.socket.get(), c.bytes.data(),
                         static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
    } else {
      c.socket = owned_fd();
      --open_;
    }
  }

  raw_ring ring_;  // a connection has one entry at most in each batch
  std::vector<client> clients_;
  std::size_t open_;
};

}  // namespace

void serve_echoes_by_uring(port_promise port, std::size_t connections) {
  uring_server(connections).run(std::move(port));
}

}  // namespace bench

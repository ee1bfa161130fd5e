// SPDX-License-Identifier: MIT
#include "bench/support/echo_servers.hpp"

#include <cerrno>
#include <stdexcept>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace bench {

namespace {

class epoll_server {
public:
  explicit epoll_server(std::size_t connections) : clients_(connections), open_(connections) {}

  void run(port_promise port) {
    const owned_fd listener = listen_on_loopback(std::move(port));
    for (client& c : clients_) {
      c.socket = accepted(listener, SOCK_NONBLOCK);
      epoll_event interest{};
      interest.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
      interest.data.ptr = &c;
      checked(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, c.socket.get(), &interest), "epoll_ctl");
    }
    std::vector<epoll_event> events(clients_.size());
    while (open_ != 0) {
      const int ready =
          ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      if (ready < 0 && errno == EINTR) continue;
      checked(ready, "epoll_wait");
      for (std::size_t i = 0; i < static_cast<std::size_t>(ready); ++i)
        answer(*static_cast<client*>(events[i].data.ptr), events[i].events);
    }
  }

private:
  struct client {
    owned_fd socket;
    echo_buffer bytes;
  };

  /// Until the socket is empty. A receive that did not fill the buffer has emptied it, and what
  /// comes later is another event; but an end that has come already is none.
  void answer(client& c, std::uint32_t events) {
    bool emptied = false;
    while (!emptied) {
      const ssize_t received = ::recv(c.socket.get(), c.bytes.data(), c.bytes.size(), 0);
      if (received < 0 && errno == EINTR) continue;
      if (received < 0 && errno == EAGAIN) return;
      checked(received, "recv");
      if (received == 0) {
        c.socket = owned_fd();
        --open_;
        return;
      }
      send_all(c, static_cast<std::size_t>(received));
      emptied = static_cast<std::size_t>(received) < c.bytes.size() && (events & EPOLLRDHUP) == 0;
    }
  }
  static void send_all(const client& c, std::size_t size) {
    ssize_t sent = 0;
    do sent = ::send(c.socket.get(), c.bytes.data(), size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (static_cast<std::size_t>(checked(sent, "send")) != size)
      throw std::runtime_error("epoll_server: a short send");
  }

  owned_fd epoll_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::vector<client> clients_;
  std::size_t open_;
};

}  // namespace

void serve_echoes_by_epoll(port_promise port, std::size_t connections) {
  epoll_server(connections).run(std::move(port));
}

}  // namespace bench

// SPDX-License-Identifier: MIT
// What operations on sockets do, on both kernels.

#include "support/descriptors.hpp"
#include "support/raw_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

namespace kernel_sockets_test {

using namespace weft;
using namespace weft::tests;

namespace {

using id = raw_queue::id;

/// Calls `body(kernel, make_pair)` for connections of each kind.
template <class Body>
void on_each_stream(Body body) {
  on_each_kernel([&](kernel& k) {
    for (fd_pair (*const make)() : {&unix_pair, &tcp_pair}) {
      const bool tcp = make == &tcp_pair;
      CAPTURE(tcp);
      body(k, make);
    }
  });
}

std::string_view first(const std::array<char, 64>& buffer, int count) {
  return {buffer.data(), static_cast<std::size_t>(count)};
}

/// Sends until nothing more fits. Returns how much that was.
std::size_t fill(int fd) {
  const std::string piece(64 * 1024, 'f');
  std::size_t all = 0;
  for (ssize_t n = 0; (n = ::send(fd, piece.data(), piece.size(), MSG_DONTWAIT)) > 0;)
    all += static_cast<std::size_t>(n);
  return all;
}

/// Receives until nothing more is there. Returns how much that was.
std::size_t drain(int fd) {
  std::string piece(64 * 1024, '\0');
  std::size_t all = 0;
  for (ssize_t n = 0; (n = ::recv(fd, piece.data(), piece.size(), MSG_DONTWAIT)) > 0;)
    all += static_cast<std::size_t>(n);
  return all;
}

/// A listener whose queue of connections is full: who connects waits for an answer.
struct full_listener {
  owned_fd listener = listening_socket(0);
  std::vector<owned_fd> clients{};
  sockaddr_in address = address_of(listener);

  full_listener() {
    for (;;) {
      clients.push_back(tcp_socket(SOCK_NONBLOCK));
      REQUIRE(::connect(clients.back(), generic(address), sizeof address) == -1);
      REQUIRE(errno == EINPROGRESS);
      pollfd answered{.fd = clients.back(), .events = POLLOUT, .revents = 0};
      if (::poll(&answered, 1, 50) == 0) return;
      REQUIRE(clients.size() < 64);
    }
  }
};

}  // namespace

TEST_SUITE("io/kernel_sockets") {
  TEST_CASE("a receive takes what is there") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      put(pair.far, "hello");
      const completion c = q.next(q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0));
      CHECK(first(buffer, c.res) == "hello");
      CHECK_FALSE(c.more());
      CHECK_FALSE(c.has_buffer());
    });
  }

  TEST_CASE("a receive waits for bytes, and takes no more than it has room for") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id one = q.start(io_uring_prep_recv, pair.near, buffer.data(), 3, 0);
      CHECK(q.waits(one));
      put(pair.far, "hello");
      CHECK(first(buffer, q.result(one)) == "hel");
      CHECK(first(buffer, q.run(io_uring_prep_recv, pair.near, buffer.data(), 3, 0)) == "lo");
      CHECK(q.waits(q.start(io_uring_prep_recv, pair.near, buffer.data(), 3, 0)));
    });
  }

  TEST_CASE("a receive gives 0 at the end of the stream, as often as it is asked") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(waiting));
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      CHECK(q.result(waiting) == 0);
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 0);
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, MSG_WAITALL) == 0);
    });
  }

  TEST_CASE("a receive of no bytes does not wait for the end") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      char byte = 0;
      raw_queue q(k);
      put(pair.far, "x");
      CHECK(q.run(io_uring_prep_recv, pair.near, &byte, 0, 0) == 0);
      CHECK(q.run(io_uring_prep_recv, pair.near, &byte, 1, 0) == 1);
    });
  }

  TEST_CASE("a receive with MSG_WAITALL goes on until its buffer is full") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id whole = q.start(io_uring_prep_recv, pair.near, buffer.data(), 10, MSG_WAITALL);
      CHECK(q.waits(whole));
      put(pair.far, "abc");
      CHECK(q.waits(whole));
      put(pair.far, "defg");
      CHECK(q.waits(whole));
      put(pair.far, "hijkl");
      CHECK(first(buffer, q.result(whole)) == "abcdefghij");
      CHECK(first(buffer, q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0)) == "kl");
    });
  }

  TEST_CASE("a receive with MSG_WAITALL gives what it has when the stream ends") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id whole = q.start(io_uring_prep_recv, pair.near, buffer.data(), 10, MSG_WAITALL);
      put(pair.far, "abc");
      CHECK(q.waits(whole));
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      CHECK(first(buffer, q.result(whole)) == "abc");
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 0);
    });
  }

  TEST_CASE("a receive with MSG_WAITALL that is cancelled gives what it has") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id whole = q.start(io_uring_prep_recv, pair.near, buffer.data(), 10, MSG_WAITALL);
      put(pair.far, "abc");
      CHECK(q.waits(whole));
      CHECK(q.cancel(whole) == 0);
      CHECK(first(buffer, q.result(whole)) == "abc");
    });
  }

  TEST_CASE("what lies behind urgent data is received, although the receive before it stopped") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(waiting));
      put(pair.far, "ab");
      REQUIRE(::send(pair.far, "!", 1, MSG_OOB) == 1);
      put(pair.far, "cd");
      CHECK(first(buffer, q.result(waiting)) == "ab");
      CHECK(first(buffer, q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0)) == "cd");
    });
  }

  TEST_CASE("a socket for whose bytes nobody has waited for a while is received from again") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      const fd_pair other = make();
      std::array<char, 64> buffer{};
      std::array<char, 8> unused{};
      raw_queue q(k);
      const id elsewhere = q.start(io_uring_prep_recv, other.near, unused.data(), 8, 0);
      const id early = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(early));
      put(pair.far, "a");
      CHECK(q.result(early) == 1);
      for (int i = 0; i < 10; ++i) {
        put(pair.far, "b");
        CHECK(q.waits(elsewhere));  // and sees that there is something for nobody
      }
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 10);
      const id late = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(late));
      put(pair.far, "c");
      CHECK(first(buffer, q.result(late)) == "c");
    });
  }

  TEST_CASE("a receive with MSG_PEEK leaves the bytes where they are") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, MSG_PEEK);
      CHECK(q.waits(waiting));
      put(pair.far, "hello");
      CHECK(first(buffer, q.result(waiting)) == "hello");
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 2, MSG_PEEK) == 2);
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 5);
      const id after = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(after));
      put(pair.far, "x");
      CHECK(q.result(after) == 1);
    });
  }

  TEST_CASE("an operation with MSG_DONTWAIT gives EAGAIN where it would wait") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, MSG_DONTWAIT) == -EAGAIN);
      fill(pair.near);
      CHECK(q.run(io_uring_prep_send, pair.near, buffer.data(), 64, MSG_DONTWAIT) == -EAGAIN);
    });
  }

  TEST_CASE("flags that epoll cannot do justice to are refused") {
    const nothing_left_behind guard;
    const fd_pair pair = tcp_pair();
    std::array<char, 8> buffer{};
    iovec piece{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    raw_queue q(epoll_kernel());
    for (const int flags : {int{MSG_OOB}, int{MSG_ERRQUEUE}, MSG_OOB | MSG_DONTWAIT}) {
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 8, flags) == -EINVAL);
      CHECK(q.run(io_uring_prep_recvmsg, pair.near, &message, static_cast<unsigned>(flags)) ==
            -EINVAL);
    }
    CHECK(q.run(io_uring_prep_recvmsg, pair.near, &message, MSG_WAITALL) == -EINVAL);
    CHECK(q.run(io_uring_prep_sendmsg, pair.near, &message, MSG_WAITALL) == -EINVAL);
  }

  TEST_CASE("operations wait on a socket that is not to block, too") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      const owned_fd listener = listening_socket();
      std::array<char, 64> buffer{};
      for (const int fd : {int{pair.near}, int{listener}})
        REQUIRE(::fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
      raw_queue q(k);
      const id receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      const id accepting = q.start(io_uring_prep_accept, listener, nullptr, nullptr, 0);
      CHECK(q.waits(receiving));
      CHECK(q.waits(accepting));
      put(pair.far, "hello");
      CHECK(first(buffer, q.result(receiving)) == "hello");
      const id reading = q.start(io_uring_prep_read, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(reading));
      put(pair.far, "again");
      CHECK(first(buffer, q.result(reading)) == "again");
      const owned_fd client = tcp_connected_to(listener);
      const owned_fd fd(q.result(accepting));
      CHECK(fd >= 0);
      fill(pair.near);
      const id sending = q.start(io_uring_prep_send, pair.near, "x", 1, 0);
      CHECK(q.waits(sending));
      while (q.waits(sending)) drain(pair.far);
      CHECK(q.result(sending) == 1);
    });
  }

  TEST_CASE("a descriptor that is not open, or no socket, is an error") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const fd_pair pipe = pipe_pair();
      owned_fd closed = event_counter();
      const int number = closed;
      closed.close();
      char byte = 0;
      sockaddr_in address = loopback(1);
      for (const auto& [fd, error] : {std::pair{number, -EBADF}, std::pair{-1, -EBADF},
                                      std::pair{int{pipe.near}, -ENOTSOCK}}) {
        CAPTURE(fd);
        CHECK(q.run(io_uring_prep_recv, fd, &byte, 1, 0) == error);
        CHECK(q.run(io_uring_prep_send, fd, &byte, 1, 0) == error);
        CHECK(q.run(io_uring_prep_accept, fd, nullptr, nullptr, 0) == error);
        CHECK(q.run(io_uring_prep_connect, fd, generic(address), sizeof address) == error);
        CHECK(q.run(io_uring_prep_shutdown, fd, SHUT_WR) == error);
      }
    });
  }

  TEST_CASE("several receives wait on one socket, and each byte goes to one of them") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 4> bytes{};
      raw_queue q(k);
      std::vector<id> all;
      for (char& byte : bytes) all.push_back(q.start(io_uring_prep_recv, pair.near, &byte, 1, 0));
      for (const id one : all) CHECK(q.waits(one));
      put(pair.far, "ab");
      put(pair.far, "cd");
      for (const id one : all) CHECK(q.result(one) == 1);
      std::string sorted(bytes.data(), 4);
      std::sort(sorted.begin(), sorted.end());
      CHECK(sorted == "abcd");
    });
  }

  TEST_CASE("when the stream ends, all receives that wait on it end") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 4> bytes{};
      raw_queue q(k);
      std::vector<id> all;
      for (char& byte : bytes) all.push_back(q.start(io_uring_prep_recv, pair.near, &byte, 1, 0));
      for (const id one : all) CHECK(q.waits(one));
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      for (const id one : all) CHECK(q.result(one) == 0);
    });
  }

  TEST_CASE("a send that finds no room waits until the peer reads, and no byte is lost") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      raw_queue q(k);
      std::size_t sent = fill(pair.near);
      const std::string more(32 * 1024, 'm');
      const id waiting = q.start(io_uring_prep_send, pair.near, more.data(), more.size(), 0);
      CHECK(q.waits(waiting));
      std::size_t received = 0;
      while (q.waits(waiting)) received += drain(pair.far);
      const int last = q.result(waiting);
      CHECK(last > 0);
      sent += static_cast<std::size_t>(last);
      while (received < sent) received += drain(pair.far);
      CHECK(received == sent);
      CHECK(drain(pair.far) == 0);
    });
  }

  TEST_CASE("a send with MSG_WAITALL goes on until all is sent") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      raw_queue q(k);
      const std::string much(8 * 1024 * 1024, 'm');
      const id whole =
          q.start(io_uring_prep_send, pair.near, much.data(), much.size(), MSG_WAITALL);
      std::size_t received = 0;
      while (q.waits(whole)) received += drain(pair.far);
      CHECK(q.result(whole) == static_cast<int>(much.size()));
      while (received < much.size()) received += drain(pair.far);
      CHECK(received == much.size());
    });
  }

  TEST_CASE("a send to a peer that has gone gives EPIPE") {
    on_each_stream([](kernel& k, auto make) {
      fd_pair pair = make();
      reset_at_close(pair.far);
      pair.far.close();
      raw_queue q(k);
      char byte = 0;
      (void)q.run(io_uring_prep_recv, pair.near, &byte, 1, 0);  // what the reset says comes first
      CHECK(q.run(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL) == -EPIPE);
    });
  }

  TEST_CASE("a send behind one's own end of the stream gives EPIPE") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_shutdown, pair.near, SHUT_WR) == 0);
      CHECK(q.run(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL) == -EPIPE);
      CHECK(take(pair.far, 1) == "");
    });
  }

  TEST_CASE("a send that waits ends with EPIPE when its side is shut down") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      raw_queue q(k);
      fill(pair.near);
      const id waiting = q.start(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL);
      CHECK(q.waits(waiting));
      CHECK(q.run(io_uring_prep_shutdown, pair.near, SHUT_WR) == 0);
      CHECK(q.result(waiting) == -EPIPE);
    });
  }

  TEST_CASE("a receive that waits ends with 0 when its side is shut down") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      char byte = 0;
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(q.waits(waiting));
      CHECK(q.run(io_uring_prep_shutdown, pair.near, SHUT_RD) == 0);
      CHECK(q.result(waiting) == 0);
    });
  }

  TEST_CASE("shutdown of a socket without connection gives ENOTCONN") {
    on_each_kernel([](kernel& k) {
      const owned_fd fd = tcp_socket();
      char byte = 0;
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_shutdown, fd, SHUT_WR) == -ENOTCONN);
      CHECK(q.run(io_uring_prep_recv, fd, &byte, 1, 0) == -ENOTCONN);
      CHECK(q.run(io_uring_prep_send, fd, &byte, 1, MSG_NOSIGNAL) == -EPIPE);
    });
  }

  TEST_CASE("both directions wait on one socket, and each goes on by itself") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      fill(pair.near);
      const id sending = q.start(io_uring_prep_send, pair.near, "x", 1, 0);
      const id receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(sending));
      CHECK(q.waits(receiving));
      put(pair.far, "hello");
      CHECK(first(buffer, q.result(receiving)) == "hello");
      CHECK(q.waits(sending));
      const id again = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(again));
      while (q.waits(sending)) drain(pair.far);
      CHECK(q.result(sending) == 1);
      CHECK(q.waits(again));
      put(pair.far, "again");
      CHECK(first(buffer, q.result(again)) == "again");
    });
  }

  TEST_CASE("a send that waits does not hide that the peer has ended its side") {
    on_each_kernel([](kernel& k) {
      fd_pair pair = tcp_pair();
      const fd_pair quiet = unix_pair();
      const std::string much(1024 * 1024, 'm');
      std::array<char, 64> buffer{};
      raw_queue q(k);
      const id receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
      CHECK(q.waits(receiving));
      put(pair.far, "a");
      CHECK(q.result(receiving) == 1);
      // The queue learns of the end while nobody receives: what waits elsewhere makes it look.
      CHECK(q.waits(q.start(io_uring_prep_recv, quiet.near, buffer.data(), 1, 0)));
      put(pair.far, "bc");
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      pollfd ended{.fd = pair.near, .events = POLLRDHUP, .revents = 0};
      REQUIRE(::poll(&ended, 1, 10'000) == 1);
      q.settle();
      id sending = 0;
      do sending = q.start(io_uring_prep_send, pair.near, much.data(), much.size(), MSG_NOSIGNAL);
      while (!q.waits(sending) && q.result(sending) > 0);
      CHECK(q.running(sending));
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 2);
      CHECK(q.run(io_uring_prep_recv, pair.near, buffer.data(), 64, 0) == 0);
      pair.far.close();
      CHECK(q.result(sending) < 0);
    });
  }

  TEST_CASE("a peer that resets ends what waits with ECONNRESET, then it is the end") {
    on_each_kernel([](kernel& k) {
      fd_pair pair = tcp_pair();
      char byte = 0;
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(q.waits(waiting));
      reset_at_close(pair.far);
      pair.far.close();
      CHECK(q.result(waiting) == -ECONNRESET);
      CHECK(q.run(io_uring_prep_recv, pair.near, &byte, 1, 0) == 0);
    });
  }

  TEST_CASE("a peer that resets ends a send that waits") {
    on_each_kernel([](kernel& k) {
      fd_pair pair = tcp_pair();
      raw_queue q(k);
      fill(pair.near);
      const id waiting = q.start(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL);
      CHECK(q.waits(waiting));
      reset_at_close(pair.far);
      pair.far.close();
      CHECK(q.result(waiting) == -ECONNRESET);
      CHECK(q.run(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL) == -EPIPE);
    });
  }

  TEST_CASE("accept takes a connection that is there, or waits for one") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      raw_queue q(k);
      {
        const owned_fd client = tcp_connected_to(listener);
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        const owned_fd fd(
            q.run(io_uring_prep_accept, listener, generic(peer), &size, SOCK_CLOEXEC));
        CHECK(fd >= 0);
        CHECK(size == sizeof peer);
        CHECK(peer.sin_port == address_of(client).sin_port);
        CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
      }
      const id waiting = q.start(io_uring_prep_accept, listener, nullptr, nullptr, 0);
      CHECK(q.waits(waiting));
      const owned_fd client = tcp_connected_to(listener);
      const owned_fd fd(q.result(waiting));
      CHECK(fd >= 0);
      CHECK(::fcntl(fd, F_GETFD) == 0);
      CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
      put(client, "x");
      CHECK(take(fd, 1) == "x");
    });
  }

  TEST_CASE("accept makes a socket that is not to block when it is told so") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      const owned_fd client = tcp_connected_to(listener);
      raw_queue q(k);
      const owned_fd fd(q.run(io_uring_prep_accept, listener, nullptr, nullptr, SOCK_NONBLOCK));
      CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    });
  }

  TEST_CASE("several accepts wait on one listener, and each gets a connection of its own") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      raw_queue q(k);
      std::array<id, 3> waiting{};
      for (id& one : waiting)
        one = q.start(io_uring_prep_accept, listener, nullptr, nullptr, SOCK_CLOEXEC);
      for (const id one : waiting) CHECK(q.waits(one));
      std::vector<owned_fd> all;
      for (int i = 0; i < 3; ++i) all.push_back(tcp_connected_to(listener));
      for (const id one : waiting) all.emplace_back(q.result(one));
      for (const owned_fd& fd : all) CHECK(fd >= 0);
    });
  }

  TEST_CASE("a listener that is shut down ends the accept that waits, and later ones") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_accept, listener, nullptr, nullptr, 0);
      CHECK(q.waits(waiting));
      REQUIRE(k.shutdown(listener, SHUT_RD) == 0);
      CHECK(q.result(waiting) == -EINVAL);
      CHECK(q.run(io_uring_prep_accept, listener, nullptr, nullptr, 0) == -EINVAL);
    });
  }

  TEST_CASE("accept on what does not listen gives EINVAL") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_accept, pair.near, nullptr, nullptr, 0) == -EINVAL);
    });
  }

  TEST_CASE("an accept goes on to the connections that keep coming") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      raw_queue q(k);
      const id all = q.start(io_uring_prep_multishot_accept, listener, nullptr, nullptr, 0);
      q.newest().accept_flags = SOCK_CLOEXEC;
      CHECK(q.waits(all));
      for (int round = 0; round < 3; ++round) {
        const owned_fd one = tcp_connected_to(listener);
        const owned_fd two = tcp_connected_to(listener);
        for (int i = 0; i < 2; ++i) {
          const completion c = q.next(all);
          const owned_fd fd(c.res);
          CHECK(fd >= 0);
          CHECK(c.more());
          CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
        }
        CHECK(q.waits(all));
      }
      CHECK(q.cancel(all) == 0);
      const completion end = q.next(all);
      CHECK(end.res == -ECANCELED);
      CHECK_FALSE(end.more());
    });
  }

  TEST_CASE("an accept that goes on ends when the listener is shut down") {
    on_each_kernel([](kernel& k) {
      const owned_fd listener = listening_socket();
      raw_queue q(k);
      const id all = q.start(io_uring_prep_multishot_accept, listener, nullptr, nullptr, 0);
      CHECK(q.waits(all));
      REQUIRE(k.shutdown(listener, SHUT_RD) == 0);
      CHECK(q.result(all) == -EINVAL);
    });
  }

  TEST_CASE("connect is accepted, or refused") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const owned_fd listener = listening_socket();
      sockaddr_in address = address_of(listener);
      const owned_fd client = tcp_socket();
      CHECK(q.run(io_uring_prep_connect, client, generic(address), sizeof address) == 0);
      CHECK(q.run(io_uring_prep_connect, client, generic(address), sizeof address) == -EISCONN);
      const owned_fd silent = silent_port();
      sockaddr_in nobody = address_of(silent);
      const owned_fd other = tcp_socket();
      CHECK(q.run(io_uring_prep_connect, other, generic(nobody), sizeof nobody) == -ECONNREFUSED);
    });
  }

  TEST_CASE("a socket whose connection was refused can connect to another address") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const owned_fd listener = listening_socket();
      sockaddr_in address = address_of(listener);
      const owned_fd silent = silent_port();
      sockaddr_in nobody = address_of(silent);
      const owned_fd client = tcp_socket();
      CHECK(q.run(io_uring_prep_connect, client, generic(nobody), sizeof nobody) == -ECONNREFUSED);
      CHECK(q.run(io_uring_prep_connect, client, generic(address), sizeof address) == 0);
    });
  }

  TEST_CASE("a connect reads its address when it is handed over") {
    on_each_kernel([](kernel& k) {
      full_listener full;
      raw_queue q(k);
      const owned_fd client = tcp_socket();
      auto address = std::make_unique<sockaddr_in>(full.address);
      const id waiting = q.start(io_uring_prep_connect, client, generic(*address), sizeof *address);
      CHECK(q.waits(waiting));
      address.reset();
      CHECK(q.waits(waiting));
      CHECK(q.cancel(waiting) == 0);
      CHECK(q.result(waiting) == -ECANCELED);
    });
  }

  TEST_CASE("a connect that nobody answers waits, and can be cancelled") {
    on_each_kernel([](kernel& k) {
      full_listener full;
      raw_queue q(k);
      const owned_fd client = tcp_socket();
      const id waiting =
          q.start(io_uring_prep_connect, client, generic(full.address), sizeof full.address);
      CHECK(q.waits(waiting));
      CHECK(q.cancel(waiting) == 0);
      CHECK(q.result(waiting) == -ECANCELED);
    });
  }

  TEST_CASE("connect through a name in the file system that is not there gives ENOENT") {
    on_each_kernel([](kernel& k) {
      const owned_fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/nowhere/to/be/found"};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_connect, client, reinterpret_cast<sockaddr*>(&address),
                  sizeof address) == -ENOENT);
    });
  }

  TEST_CASE("read and write work on sockets, at offset 0 and at -1") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      for (const std::uint64_t offset : {std::uint64_t{0}, UINT64_MAX}) {
        CAPTURE(offset);
        const id reading = q.start(io_uring_prep_read, pair.near, buffer.data(), 64, offset);
        CHECK(q.waits(reading));
        CHECK(q.run(io_uring_prep_write, pair.far, "hello", 5, offset) == 5);
        CHECK(first(buffer, q.result(reading)) == "hello");
      }
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      CHECK(q.run(io_uring_prep_read, pair.near, buffer.data(), 64, 0) == 0);
    });
  }

  TEST_CASE("a socket can be made by an operation, where the kernel has that") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const owned_fd fd(q.run(io_uring_prep_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0));
      if (fd == -EINVAL) return;
      CHECK(fd >= 0);
      CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
    });
  }

  TEST_CASE("a datagram comes with its sender's address, in pieces") {
    on_each_kernel([](kernel& k) {
      const owned_fd sender = bound_socket(SOCK_DGRAM);
      const owned_fd receiver = bound_socket(SOCK_DGRAM);
      sockaddr_in to = address_of(receiver);
      sockaddr_in from{};
      std::array<char, 4> head{};
      std::array<char, 64> rest{};
      std::array<iovec, 2> in{{{head.data(), 4}, {rest.data(), 64}}};
      std::string hello = "hello, ";
      std::string world = "world";
      std::array<iovec, 2> out{{{hello.data(), hello.size()}, {world.data(), world.size()}}};
      msghdr receive{};
      receive.msg_name = &from;
      receive.msg_namelen = sizeof from;
      receive.msg_iov = in.data();
      receive.msg_iovlen = in.size();
      msghdr send{};
      send.msg_name = &to;
      send.msg_namelen = sizeof to;
      send.msg_iov = out.data();
      send.msg_iovlen = out.size();
      raw_queue q(k);
      const id receiving = q.start(io_uring_prep_recvmsg, receiver, &receive, 0);
      CHECK(q.waits(receiving));
      CHECK(q.run(io_uring_prep_sendmsg, sender, &send, 0) == 12);
      CHECK(q.result(receiving) == 12);
      CHECK(std::string_view(head.data(), 4) == "hell");
      CHECK(first(rest, 8) == "o, world");
      CHECK(receive.msg_namelen == sizeof from);
      CHECK(from.sin_port == address_of(sender).sin_port);
      CHECK(receive.msg_flags == 0);
    });
  }

  TEST_CASE("of a datagram that is too long the rest is gone, and a flag says so") {
    on_each_kernel([](kernel& k) {
      const owned_fd sender = bound_socket(SOCK_DGRAM);
      const owned_fd receiver = bound_socket(SOCK_DGRAM);
      sockaddr_in to = address_of(receiver);
      REQUIRE(::connect(sender, generic(to), sizeof to) == 0);
      std::array<char, 64> buffer{};
      iovec in{buffer.data(), 3};
      msghdr receive{};
      receive.msg_iov = &in;
      receive.msg_iovlen = 1;
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_send, sender, "hello", 5, 0) == 5);
      CHECK(q.run(io_uring_prep_recvmsg, receiver, &receive, 0) == 3);
      CHECK((receive.msg_flags & MSG_TRUNC) != 0);
      CHECK(q.run(io_uring_prep_send, sender, "", 0, 0) == 0);
      CHECK(q.run(io_uring_prep_recv, receiver, buffer.data(), 64, 0) == 0);
      CHECK(q.waits(q.start(io_uring_prep_recv, receiver, buffer.data(), 64, 0)));
    });
  }

  TEST_CASE("bytes and the end of a stream arrive whole, however they meet the receives") {
    // Every order of three writes, the end, and receives with short buffers: what comes together,
    // what fills a buffer exactly, what comes between two receives.
    on_each_stream([](kernel& k, auto make) {
      constexpr int writes = 4;  // the last one is the end
      constexpr int receives = 5;
      raw_queue q(k);
      for (const std::size_t room :
           {std::size_t{1}, std::size_t{3}, std::size_t{4}, std::size_t{64}}) {
        for (unsigned order = 0; order < (1u << (writes + receives)); ++order) {
          if (__builtin_popcount(order) != writes) continue;
          CAPTURE(room);
          CAPTURE(order);
          fd_pair pair = make();
          std::array<char, 64> buffer{};
          std::string got;
          id receiving = 0;
          const auto receive = [&] {
            receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), room, 0);
          };
          const auto look = [&] {
            q.settle();
            while (receiving != 0 && q.arrived(receiving)) {
              const int res = q.result(receiving);
              REQUIRE(res >= 0);
              got += first(buffer, res);
              receiving = 0;
            }
          };
          int written = 0;
          for (int step = 0; step < writes + receives; ++step) {
            if ((order >> step & 1) == 0) {
              if (receiving == 0) receive();
            } else if (written == 3) {
              REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
            } else {
              constexpr std::array<std::string_view, 3> texts{"abc", "d", "efgh"};
              put(pair.far, texts[static_cast<std::size_t>(written++)]);
              if ((order & 1) != 0) continue;  // the kernel learns of it with what comes next
            }
            look();
          }
          for (int more = 0; more < 20; ++more) {
            if (receiving == 0) receive();
            const int res = q.result(receiving);
            receiving = 0;
            REQUIRE(res >= 0);
            if (res == 0) break;
            got += first(buffer, res);
          }
          CHECK(got == "abcdefgh");
          CHECK(q.count_running() == 0);
          CHECK(k.close(pair.near.release()) == 0);
        }
      }
    });
  }

  TEST_CASE("a stream that is read and written in turns loses nothing") {
    on_each_stream([](kernel& k, auto make) {
      const fd_pair pair = make();
      raw_queue q(k);
      std::array<char, 64> there{};
      std::array<char, 64> back{};
      for (int i = 0; i < 300; ++i) {
        const id near = q.start(io_uring_prep_recv, pair.near, there.data(), 64, 0);
        const id far = q.start(io_uring_prep_recv, pair.far, back.data(), 64, 0);
        if (i % 2 == 0) q.enter(false);
        const id out = q.start(io_uring_prep_send, pair.far, "ping", 4, 0);
        const id home = q.start(io_uring_prep_send, pair.near, "pong!", 5, 0);
        CHECK(q.result(near) == 4);
        CHECK(q.result(far) == 5);
        CHECK(q.result(out) == 4);
        CHECK(q.result(home) == 5);
      }
    });
  }
}

}  // namespace kernel_sockets_test

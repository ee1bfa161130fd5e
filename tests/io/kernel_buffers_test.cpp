// SPDX-License-Identifier: MIT
// Receives whose buffers the kernel chooses, on both kernels.

#include "support/descriptors.hpp"
#include "support/raw_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace kernel_buffers_test {

using namespace weft;
using namespace weft::tests;

namespace {

using id = raw_queue::id;

constexpr int group = 7;

/// Buffers of 16 bytes for the kernel to choose from, numbered from `first`.
template <std::size_t Count>
struct buffer_group {
  std::array<std::array<char, 16>, Count> memory{};
  int first = 0;

  /// Gives `count` buffers to the kernel, from number `from` on. Returns what it says.
  int provide(raw_queue& q, int from, int count) {
    return q.run(io_uring_prep_provide_buffers, memory[static_cast<std::size_t>(from)].data(), 16,
                 count, group, first + from);
  }
  std::string_view text(const completion& c) const {
    REQUIRE(c.has_buffer());
    REQUIRE(c.res >= 0);
    const std::size_t number = c.buffer() - static_cast<unsigned>(first);
    REQUIRE(number < Count);
    return {memory[number].data(), static_cast<std::size_t>(c.res)};
  }
};

id start_receive(raw_queue& q, int fd, std::size_t size = 0) {
  const id operation = q.start(io_uring_prep_recv, fd, nullptr, size, 0);
  q.newest().flags |= IOSQE_BUFFER_SELECT;
  q.newest().buf_group = group;
  return operation;
}

id start_receives(raw_queue& q, int fd) {
  const id operation = q.start(io_uring_prep_recv_multishot, fd, nullptr, 0, 0);
  q.newest().flags |= IOSQE_BUFFER_SELECT;
  q.newest().buf_group = group;
  return operation;
}

}  // namespace

TEST_SUITE("io/kernel_buffers") {
  TEST_CASE("a receive takes a buffer of its group, and says which") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<2> buffers;
      buffers.first = 40;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 2) == 0);
      std::set<unsigned> used;
      for (const std::string_view text : {"one", "two"}) {
        const id receiving = start_receive(q, pair.near);
        CHECK(q.waits(receiving));
        put(pair.far, text);
        const completion c = q.next(receiving);
        CHECK(buffers.text(c) == text);
        CHECK_FALSE(c.more());
        used.insert(c.buffer());
      }
      CHECK(used == std::set<unsigned>{40, 41});
    });
  }

  TEST_CASE("a receive takes no more than its buffer holds, or than it asked for") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<3> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 3) == 0);
      put(pair.far, "0123456789abcdefXYZ");
      CHECK(buffers.text(q.next(start_receive(q, pair.near, 4))) == "0123");
      CHECK(buffers.text(q.next(start_receive(q, pair.near, 100))) == "456789abcdefXYZ");
      put(pair.far, "0123456789abcdefXYZ");
      CHECK(buffers.text(q.next(start_receive(q, pair.near))) == "0123456789abcdef");
    });
  }

  TEST_CASE("a receive of a group that is empty, or was never there, gives ENOBUFS") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<1> buffers;
      raw_queue q(k);
      put(pair.far, "abc");
      CHECK(q.result(start_receive(q, pair.near)) == -ENOBUFS);
      CHECK(buffers.provide(q, 0, 1) == 0);
      CHECK(buffers.text(q.next(start_receive(q, pair.near, 1))) == "a");
      const completion none = q.next(start_receive(q, pair.near));
      CHECK(none.res == -ENOBUFS);
      CHECK_FALSE(none.has_buffer());
      CHECK(buffers.provide(q, 0, 1) == 0);
      CHECK(buffers.text(q.next(start_receive(q, pair.near))) == "bc");
    });
  }

  TEST_CASE("a receive of a group that is empty does not wait for bytes to say so") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      char byte = 0;
      raw_queue q(k);
      CHECK(q.result(start_receive(q, pair.near)) == -ENOBUFS);
      CHECK(q.result(start_receives(q, pair.near)) == -ENOBUFS);
      // Nor when it is known that there are none.
      const id waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(q.waits(waiting));
      put(pair.far, "x");
      CHECK(q.result(waiting) == 1);
      const id again = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(q.waits(again));
      CHECK(q.cancel(again) == 0);
      CHECK(q.result(again) == -ECANCELED);
      CHECK(q.result(start_receive(q, pair.near)) == -ENOBUFS);
      CHECK(q.result(start_receives(q, pair.near)) == -ENOBUFS);
    });
  }

  TEST_CASE("a receive that is cancelled leaves its buffer in the group") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<1> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 1) == 0);
      for (int i = 0; i < 3; ++i) {
        const id receiving = start_receive(q, pair.near);
        CHECK(q.waits(receiving));
        CHECK(q.cancel(receiving) == 0);
        const completion c = q.next(receiving);
        CHECK(c.res == -ECANCELED);
        CHECK_FALSE(c.has_buffer());
      }
      put(pair.far, "abc");
      CHECK(buffers.text(q.next(start_receive(q, pair.near))) == "abc");
    });
  }

  TEST_CASE("a receive goes on, a buffer for each piece, until it is cancelled") {
    on_each_kernel([](kernel& k) {
      for (fd_pair (*const make)() : {&unix_pair, &tcp_pair}) {
        const fd_pair pair = make();
        buffer_group<4> buffers;
        raw_queue q(k);
        CHECK(buffers.provide(q, 0, 4) == 0);
        const id receiving = start_receives(q, pair.near);
        CHECK(q.waits(receiving));
        for (const std::string_view text : {"one", "two", "three"}) {
          put(pair.far, text);
          const completion c = q.next(receiving);
          CHECK(buffers.text(c) == text);
          CHECK(c.more());
          CHECK(q.waits(receiving));
        }
        CHECK(q.cancel(receiving) == 0);
        const completion end = q.next(receiving);
        CHECK(end.res == -ECANCELED);
        CHECK_FALSE(end.more());
        CHECK_FALSE(end.has_buffer());
      }
    });
  }

  TEST_CASE("a receive that goes on takes at once what is there, in pieces of a buffer") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      buffer_group<4> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 4) == 0);
      put(pair.far, "0123456789abcdef0123456789ABCDEFxyz");
      const id receiving = start_receives(q, pair.near);
      std::string all;
      while (all.size() < 35) {
        const completion c = q.next(receiving);
        CHECK(c.more());
        all += buffers.text(c);
      }
      CHECK(all == "0123456789abcdef0123456789ABCDEFxyz");
      CHECK(q.waits(receiving));
    });
  }

  TEST_CASE("a receive that goes on ends with 0 at the end of the stream") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      buffer_group<4> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 4) == 0);
      const id receiving = start_receives(q, pair.near);
      CHECK(q.waits(receiving));
      put(pair.far, "last");
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      const completion bytes = q.next(receiving);
      CHECK(buffers.text(bytes) == "last");
      CHECK(bytes.more());
      const completion end = q.next(receiving);
      CHECK(end.res == 0);
      CHECK_FALSE(end.more());
      CHECK(q.next(start_receives(q, pair.near)).res == 0);
    });
  }

  TEST_CASE("a receive that goes on ends with ENOBUFS when its group is empty, without a loss") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      buffer_group<2> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 2) == 0);
      const id receiving = start_receives(q, pair.near);
      CHECK(q.waits(receiving));
      for (const std::string_view text : {"one", "two"}) {
        put(pair.far, text);
        const completion c = q.next(receiving);
        CHECK(buffers.text(c) == text);
        CHECK(c.more());
      }
      CHECK(q.waits(receiving));
      put(pair.far, "three");
      const completion end = q.next(receiving);
      CHECK(end.res == -ENOBUFS);
      CHECK_FALSE(end.more());
      CHECK_FALSE(end.has_buffer());
      CHECK(buffers.provide(q, 1, 1) == 0);
      const id again = start_receives(q, pair.near);
      const completion rest = q.next(again);
      CHECK(rest.buffer() == 1);
      CHECK(buffers.text(rest) == "three");
      CHECK(rest.more());
    });
  }

  TEST_CASE("buffers that are given back are used again") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      buffer_group<3> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 3) == 0);
      const id receiving = start_receives(q, pair.near);
      for (int i = 0; i < 50; ++i) {
        put(pair.far, "abc");
        const completion c = q.next(receiving);
        CHECK(buffers.text(c) == "abc");
        CHECK(c.more());
        CHECK(buffers.provide(q, static_cast<int>(c.buffer()), 1) == 0);
      }
    });
  }

  TEST_CASE("two receives that go on share a group") {
    on_each_kernel([](kernel& k) {
      const fd_pair one = tcp_pair();
      const fd_pair two = tcp_pair();
      buffer_group<2> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 2) == 0);
      const id first = start_receives(q, one.near);
      const id second = start_receives(q, two.near);
      put(two.far, "two");
      CHECK(buffers.text(q.next(second)) == "two");
      put(one.far, "one");
      CHECK(buffers.text(q.next(first)) == "one");
      put(one.far, "more");
      CHECK(q.next(first).res == -ENOBUFS);
      CHECK(q.waits(second));
    });
  }

  TEST_CASE("a receive that goes on gives each datagram, and a part of one that is too long") {
    on_each_kernel([](kernel& k) {
      const owned_fd sender = bound_socket(SOCK_DGRAM);
      const owned_fd receiver = bound_socket(SOCK_DGRAM);
      sockaddr_in to = address_of(receiver);
      REQUIRE(::connect(sender, generic(to), sizeof to) == 0);
      buffer_group<4> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 4) == 0);
      const id receiving = start_receives(q, receiver);
      put(sender, "one");
      put(sender, "0123456789abcdefXYZ");
      put(sender, "two");
      for (const std::string_view text : {"one", "0123456789abcdef", "two"}) {
        const completion c = q.next(receiving);
        CHECK(buffers.text(c) == text);
        CHECK(c.more());
      }
    });
  }

  TEST_CASE("a receive that goes on ends with the error of a peer that resets") {
    on_each_kernel([](kernel& k) {
      fd_pair pair = tcp_pair();
      buffer_group<4> buffers;
      raw_queue q(k);
      CHECK(buffers.provide(q, 0, 4) == 0);
      const id receiving = start_receives(q, pair.near);
      CHECK(q.waits(receiving));
      reset_at_close(pair.far);
      pair.far.close();
      CHECK(q.result(receiving) == -ECONNRESET);
    });
  }

  TEST_CASE("a receive that is to go on needs a group to choose from") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      std::array<char, 16> buffer{};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_recv_multishot, pair.near, buffer.data(), 16, 0) == -EINVAL);
    });
  }

  TEST_CASE("buffers are taken back, and it is said how many") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<4> buffers;
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_remove_buffers, 1, group) == -ENOENT);
      CHECK(buffers.provide(q, 0, 4) == 0);
      CHECK(q.run(io_uring_prep_remove_buffers, 1, group) == 1);
      CHECK(q.run(io_uring_prep_remove_buffers, 100, group) == 3);
      put(pair.far, "x");
      CHECK(q.result(start_receive(q, pair.near)) == -ENOBUFS);
      CHECK(q.run(io_uring_prep_remove_buffers, 1, group + 1) == -ENOENT);
    });
  }

  TEST_CASE("groups of two queues are two groups") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      buffer_group<1> buffers;
      raw_queue one(k);
      raw_queue two(k);
      CHECK(buffers.provide(one, 0, 1) == 0);
      put(pair.far, "abc");
      CHECK(two.result(start_receive(two, pair.near)) == -ENOBUFS);
      CHECK(buffers.text(one.next(start_receive(one, pair.near))) == "abc");
    });
  }
}

}  // namespace kernel_buffers_test

// SPDX-License-Identifier: MIT
// Polls, timeouts and cancels, on both kernels.

#include "support/descriptors.hpp"
#include "support/long_tests.hpp"
#include "support/raw_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace kernel_waits_test {

using namespace weft;
using namespace weft::tests;

namespace {

using id = raw_queue::id;

constexpr std::int64_t ms = 1'000'000;

__kernel_timespec span_of(std::int64_t ns) {
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

/// Something of each kind that waits and never ends by itself.
struct everything_that_waits {
  fd_pair pair = unix_pair();
  fd_pair pipe = pipe_pair();
  owned_fd listener = listening_socket();
  owned_fd counter = event_counter();
  owned_fd datagrams = bound_socket(SOCK_DGRAM);
  std::array<char, 64> buffer{};
  std::uint64_t value = 0;
  iovec piece{buffer.data(), buffer.size()};
  msghdr message{};
  __kernel_timespec long_time = span_of(3'600'000 * ms);

  struct kind {
    const char* name;
    std::function<id(raw_queue&)> start;
  };
  std::vector<kind> kinds() {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    return {
        {"recv",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_recv, pair.near, buffer.data(), 64, 0);
         }},
        {"recvmsg",
         [this](raw_queue& q) { return q.start(io_uring_prep_recvmsg, datagrams, &message, 0); }},
        {"accept",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_accept, listener, nullptr, nullptr, 0);
         }},
        {"multishot accept",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_multishot_accept, listener, nullptr, nullptr, 0);
         }},
        {"poll",
         [this](raw_queue& q) { return q.start(io_uring_prep_poll_add, pair.near, POLLIN); }},
        {"multishot poll",
         [this](raw_queue& q) { return q.start(io_uring_prep_poll_multishot, pair.far, POLLIN); }},
        {"timeout",
         [this](raw_queue& q) { return q.start(io_uring_prep_timeout, &long_time, 0, 0); }},
        {"read of a pipe",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_read, pipe.near, buffer.data(), 64, 0);
         }},
        {"read of a counter",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_read, counter, &value, sizeof value, 0);
         }},
        {"read of a socket",
         [this](raw_queue& q) {
           return q.start(io_uring_prep_read, pair.far, buffer.data(), 64, 0);
         }},
    };
  }
};

}  // namespace

TEST_SUITE("io/kernel_waits") {
  TEST_CASE("a poll tells what is ready, at once or when it comes") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_poll_add, pair.near, POLLIN | POLLOUT) == POLLOUT);
      const id waiting = q.start(io_uring_prep_poll_add, pair.near, POLLIN);
      CHECK(q.waits(waiting));
      put(pair.far, "x");
      const completion c = q.next(waiting);
      CHECK(c.res == POLLIN);
      CHECK(c.flags == 0);
      CHECK(q.run(io_uring_prep_poll_add, pair.near, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
      CHECK(q.run(io_uring_prep_poll_add, pair.near, POLLIN) == POLLIN);
    });
  }

  TEST_CASE("a poll tells of the other end's going, asked or not") {
    on_each_kernel([](kernel& k) {
      fd_pair pair = unix_pair();
      fd_pair pipe = pipe_pair();
      raw_queue q(k);
      const id asked = q.start(io_uring_prep_poll_add, pair.near, POLLIN | POLLRDHUP);
      const id not_asked = q.start(io_uring_prep_poll_add, pipe.near, 0);
      CHECK(q.waits(asked));
      CHECK(q.waits(not_asked));
      pair.far.close();
      pipe.far.close();
      CHECK(q.result(asked) == (POLLIN | POLLRDHUP | POLLHUP));
      CHECK(q.result(not_asked) == POLLHUP);
      CHECK(q.run(io_uring_prep_poll_add, pair.near, 0) == (POLLRDHUP | POLLHUP));
    });
  }

  TEST_CASE("a poll of a pipe that nobody reads tells of the error") {
    on_each_kernel([](kernel& k) {
      fd_pair pipe = pipe_pair();
      pipe.near.close();
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_poll_add, pipe.far, POLLOUT) == (POLLOUT | POLLERR));
    });
  }

  TEST_CASE("a poll of half a connection tells of the end") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      raw_queue q(k);
      const id waiting = q.start(io_uring_prep_poll_add, pair.near, POLLIN | POLLRDHUP);
      CHECK(q.waits(waiting));
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      CHECK(q.result(waiting) == (POLLIN | POLLRDHUP));
    });
  }

  TEST_CASE("a file is always ready, and what is not open is an error") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const owned_fd null(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
      CHECK(q.run(io_uring_prep_poll_add, null, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
      owned_fd closed = event_counter();
      const int number = closed;
      closed.close();
      CHECK(q.run(io_uring_prep_poll_add, number, POLLIN) == -EBADF);
      CHECK(q.run(io_uring_prep_poll_multishot, -1, POLLIN) == -EBADF);
    });
  }

  TEST_CASE("several polls of one descriptor all hear of it") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      raw_queue q(k);
      std::array<id, 3> all{};
      for (id& one : all) one = q.start(io_uring_prep_poll_add, pair.near, POLLIN);
      for (const id one : all) CHECK(q.waits(one));
      put(pair.far, "x");
      for (const id one : all) CHECK(q.result(one) == POLLIN);
    });
  }

  TEST_CASE("a poll and a receive of one socket both hear of the bytes") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      char byte = 0;
      raw_queue q(k);
      const id polling = q.start(io_uring_prep_poll_add, pair.near, POLLIN);
      CHECK(q.waits(polling));
      const id receiving = q.start(io_uring_prep_recv, pair.near, &byte, 1, MSG_PEEK);
      CHECK(q.waits(receiving));
      put(pair.far, "x");
      CHECK(q.result(polling) == POLLIN);
      CHECK(q.result(receiving) == 1);
    });
  }

  TEST_CASE("a poll that goes on tells of each event, until it is cancelled") {
    on_each_kernel([](kernel& k) {
      const owned_fd counter = event_counter();
      raw_queue q(k);
      const id polling = q.start(io_uring_prep_poll_multishot, counter, POLLIN);
      CHECK(q.waits(polling));
      for (int i = 0; i < 5; ++i) {
        const std::uint64_t one = 1;
        REQUIRE(::write(counter, &one, sizeof one) == sizeof one);
        const completion c = q.next(polling);
        CHECK(c.res == POLLIN);
        CHECK(c.more());
        if (i % 2 == 0) {
          std::uint64_t value = 0;
          REQUIRE(::read(counter, &value, sizeof value) == sizeof value);
        }
        CHECK(q.waits(polling));
      }
      CHECK(q.cancel(polling) == 0);
      const completion end = q.next(polling);
      CHECK(end.res == -ECANCELED);
      CHECK_FALSE(end.more());
    });
  }

  TEST_CASE("a poll that goes on tells of what was ready before") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      put(pair.far, "x");
      raw_queue q(k);
      const id polling = q.start(io_uring_prep_poll_multishot, pair.near, POLLIN);
      const completion c = q.next(polling);
      CHECK(c.res == POLLIN);
      CHECK(c.more());
      CHECK(q.waits(polling));
      put(pair.far, "y");
      CHECK(q.next(polling).res == POLLIN);
    });
  }

  TEST_CASE("a timeout comes with ETIME, and not early") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      for (const std::int64_t length : {ms / 10, ms, 3 * ms}) {
        __kernel_timespec span = span_of(length);
        const std::int64_t due = k.now() + length;
        const completion c = q.next(q.start(io_uring_prep_timeout, &span, 0, 0));
        CHECK(k.now() >= due);
        CHECK(c.res == -ETIME);
        CHECK(c.flags == 0);
      }
    });
  }

  TEST_CASE("a timeout can name a time, which may have passed") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      for (const std::int64_t length : {2 * ms, std::int64_t{0}, -ms}) {
        const std::int64_t due = k.now() + length;
        __kernel_timespec when = span_of(due);
        CHECK(q.run(io_uring_prep_timeout, &when, 0, IORING_TIMEOUT_ABS) == -ETIME);
        CHECK(k.now() >= due);
      }
    });
  }

  TEST_CASE("a timeout of no time comes at once, one that is negative is an error") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      __kernel_timespec none{};
      CHECK(q.run(io_uring_prep_timeout, &none, 0, 0) == -ETIME);
      __kernel_timespec negative{.tv_sec = -1, .tv_nsec = 0};
      CHECK(q.run(io_uring_prep_timeout, &negative, 0, 0) == -EINVAL);
    });
  }

  TEST_CASE("timeouts come in the order of their times, not of their starts") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const std::int64_t now = k.now();
      std::array<__kernel_timespec, 4> times{span_of(now + 4 * ms), span_of(now + ms),
                                             span_of(now + 3 * ms), span_of(now + 2 * ms)};
      std::array<id, 4> all{};
      for (std::size_t i = 0; i < 4; ++i) {
        all[i] = q.start(io_uring_prep_timeout, &times[i], 0, IORING_TIMEOUT_ABS);
      }
      CHECK(q.result(all[0]) == -ETIME);
      for (const std::size_t i : {1u, 2u, 3u}) {
        CHECK(q.arrived(all[i]));
        CHECK(q.result(all[i]) == -ETIME);
      }
    });
  }

  TEST_CASE("a timeout reads its time when it is handed over") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      __kernel_timespec span = span_of(ms);
      const id timeout = q.start(io_uring_prep_timeout, &span, 0, 0);
      q.enter(false);
      span = span_of(3'600'000 * ms);
      CHECK(q.result(timeout) == -ETIME);
    });
  }

  TEST_CASE("a wait that is longer than a timeout ends with it") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      __kernel_timespec span = span_of(ms);
      const std::int64_t deadline = k.now() + raw_queue::patience_ns;
      const id timeout = q.start(io_uring_prep_timeout, &span, 0, 0);
      CHECK(q.enter(true, deadline) == 1);
      CHECK(k.now() < deadline);
      CHECK(q.result(timeout) == -ETIME);
    });
  }

  TEST_CASE("a timeout can be taken back") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      __kernel_timespec span = span_of(3'600'000 * ms);
      const id timeout = q.start(io_uring_prep_timeout, &span, 0, 0);
      CHECK(q.waits(timeout));
      CHECK(q.run(io_uring_prep_timeout_remove, timeout, 0) == 0);
      CHECK(q.result(timeout) == -ECANCELED);
      CHECK(q.run(io_uring_prep_timeout_remove, timeout, 0) == -ENOENT);
      const fd_pair pair = unix_pair();
      const id polling = q.start(io_uring_prep_poll_add, pair.near, POLLIN);
      CHECK(q.waits(polling));
      CHECK(q.run(io_uring_prep_timeout_remove, polling, 0) == -ENOENT);  // it is no timeout
      CHECK(q.cancel(polling) == 0);
    });
  }

  TEST_CASE("whatever waits can be cancelled, and ends once") {
    on_each_kernel([](kernel& k) {
      everything_that_waits world;
      raw_queue q(k);
      for (const auto& kind : world.kinds()) {
        CAPTURE(kind.name);
        for (int i = 0; i < 3; ++i) {
          const id waiting = kind.start(q);
          CHECK(q.waits(waiting));
          CHECK(q.cancel(waiting) == 0);
          const completion end = q.next(waiting);
          CHECK(end.res == -ECANCELED);
          CHECK_FALSE(end.more());
          CHECK_FALSE(end.has_buffer());
          CHECK(q.cancel(waiting) == -ENOENT);
        }
      }
    });
  }

  TEST_CASE("whatever waits can be cancelled in the batch in which it is started") {
    on_each_kernel([](kernel& k) {
      everything_that_waits world;
      raw_queue q(k);
      for (const auto& kind : world.kinds()) {
        CAPTURE(kind.name);
        const id waiting = kind.start(q);
        const id cancel = q.start(io_uring_prep_cancel64, waiting, 0);
        CHECK(q.result(cancel) == 0);
        CHECK(q.result(waiting) == -ECANCELED);
      }
    });
  }

  TEST_CASE("a cancel that is handed over before its target finds nothing") {
    on_each_kernel([](kernel& k) {
      everything_that_waits world;
      raw_queue q(k);
      const id first = q.start(io_uring_prep_nop);
      const id cancel = q.start(io_uring_prep_cancel64, first + 2, 0);
      const id waiting = world.kinds().front().start(q);
      REQUIRE(waiting == first + 2);
      CHECK(q.result(cancel) == -ENOENT);
      CHECK(q.waits(waiting));
    });
  }

  TEST_CASE("a cancel of one operation leaves the others of its descriptor alone") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      std::array<char, 3> bytes{};
      raw_queue q(k);
      std::array<id, 3> all{};
      for (std::size_t i = 0; i < 3; ++i)
        all[i] = q.start(io_uring_prep_recv, pair.near, &bytes[i], 1, 0);
      for (const id one : all) CHECK(q.waits(one));
      CHECK(q.cancel(all[1]) == 0);
      CHECK(q.result(all[1]) == -ECANCELED);
      CHECK(q.waits(all[0]));
      CHECK(q.waits(all[2]));
      put(pair.far, "xy");
      CHECK(q.result(all[0]) == 1);
      CHECK(q.result(all[2]) == 1);
      CHECK(bytes[1] == 0);
    });
  }

  TEST_CASE("a cancelled receive takes no bytes: the next one gets them") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = tcp_pair();
      std::array<char, 2> bytes{};
      raw_queue q(k);
      for (int i = 0; i < repetitions(100, 10'000); ++i) {
        const id first = q.start(io_uring_prep_recv, pair.near, &bytes[0], 1, 0);
        CHECK(q.waits(first));
        CHECK(q.cancel(first) == 0);
        CHECK(q.result(first) == -ECANCELED);
        put(pair.far, "x");
        CHECK(q.run(io_uring_prep_recv, pair.near, &bytes[1], 1, 0) == 1);
      }
      CHECK(bytes[0] == 0);
    });
  }

  TEST_CASE("a cancel against bytes that arrive: one of them, and no byte is lost") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      char byte = 0;
      raw_queue q(k);
      for (int i = 0; i < repetitions(200, 20'000); ++i) {
        const id receiving = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
        CHECK(q.waits(receiving));
        put(pair.far, "x");
        if (i % 2 == 0) q.enter(false);
        const id cancel = q.start(io_uring_prep_cancel64, receiving, 0);
        const int cancelled = q.result(cancel);
        const int received = q.result(receiving);
        if (received == 1) {
          CHECK((cancelled == -ENOENT || cancelled == -EALREADY));
        } else {
          CHECK(received == -ECANCELED);
          CHECK(cancelled == 0);
          CHECK(q.run(io_uring_prep_recv, pair.near, &byte, 1, 0) == 1);
        }
      }
    });
  }

  TEST_CASE("a send that waits for a peer that has ended its side can be cancelled after a sleep") {
    // io_uring tries such a send again and again, then has a thread of its own wait. Until then,
    // which one sleep is enough for, a cancel finds nothing.
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      const std::string piece(64 * 1024, 'f');
      while (::send(pair.near, piece.data(), piece.size(), MSG_DONTWAIT) > 0) {}
      raw_queue q(k);
      const id sending = q.start(io_uring_prep_send, pair.near, "x", 1, MSG_NOSIGNAL);
      CHECK(q.waits(sending));
      REQUIRE(::shutdown(pair.far, SHUT_WR) == 0);
      const std::int64_t deadline = k.now() + raw_queue::patience_ns;
      int cancelled = -ENOENT;
      while (cancelled == -ENOENT && k.now() < deadline) {
        q.enter(true, k.now() + 5 * ms);
        cancelled = q.cancel(sending);
      }
      CHECK((cancelled == 0 || cancelled == -EALREADY));
      const int res = q.result(sending);
      CHECK((res == -ECANCELED || res == -EINTR));
    });
  }

  TEST_CASE("a cancel of nothing, and of what has completed, finds nothing") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      CHECK(q.cancel(123'456) == -ENOENT);
      const id nothing = q.start(io_uring_prep_nop);
      CHECK(q.result(nothing) == 0);
      CHECK(q.cancel(nothing) == -ENOENT);
      const id unread = q.start(io_uring_prep_nop);
      const id cancel = q.start(io_uring_prep_cancel64, unread, 0);
      CHECK(q.result(cancel) == -ENOENT);
      CHECK(q.result(unread) == 0);
    });
  }

  TEST_CASE("a cancel finds nothing in another queue") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      char byte = 0;
      raw_queue one(k);
      raw_queue two(k);
      const id waiting = one.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(one.waits(waiting));
      CHECK(two.cancel(waiting) == -ENOENT);
      CHECK(one.waits(waiting));
    });
  }

  TEST_CASE("a queue can be closed while things wait in it, and their descriptors live on") {
    on_each_kernel([](kernel& k) {
      everything_that_waits world;
      {
        auto queue = k.open_queue({.entries = 64, .completions = 64});
        io_uring& memory = queue->memory();
        // By hand: what a raw_queue leaves it awaits. These are polls, which hold no memory.
        for (const int fd : {int{world.pair.near}, int{world.pipe.near}, int{world.counter}}) {
          io_uring_sqe* const sqe = io_uring_get_sqe(&memory);
          io_uring_prep_poll_add(sqe, fd, POLLIN);
          sqe->user_data = 1;
        }
        io_uring_smp_store_release(memory.sq.ktail, memory.sq.sqe_tail);
        CHECK(queue->enter(3, false, INT64_MAX) == 3);
      }
      raw_queue q(k);
      put(world.pair.far, "x");
      CHECK(q.run(io_uring_prep_recv, world.pair.near, world.buffer.data(), 64, 0) == 1);
    });
  }
}

}  // namespace kernel_waits_test

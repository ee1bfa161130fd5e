// SPDX-License-Identifier: MIT
// A descriptor's number is used again as soon as it is closed. On both kernels an operation belongs
// to what the number meant when it was handed over, and nothing that was known of the number before
// is believed of what it means now.

#include "support/descriptors.hpp"
#include "support/long_tests.hpp"
#include "support/raw_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kernel_numbers_test {

using namespace weft;
using namespace weft::tests;

namespace {

using id = raw_queue::id;

/// The ways a descriptor goes.
enum class closing { by_operation, by_another_queue, by_kernel };
constexpr std::array every_closing{closing::by_operation, closing::by_another_queue,
                                   closing::by_kernel};

void close_by(closing way, owned_fd& fd, raw_queue& q, raw_queue& other) {
  const int number = fd.release();
  switch (way) {
  case closing::by_operation:
    CHECK(q.run(io_uring_prep_close, number) == 0);
    break;
  case closing::by_another_queue:
    CHECK(other.run(io_uring_prep_close, number) == 0);
    break;
  case closing::by_kernel:
    CHECK(q.used().close(number) == 0);
    break;
  }
}

/// A receive that waits, and is met.
void receive_waiting(raw_queue& q, const fd_pair& pair, const std::string& text) {
  std::string buffer(text.size() + 8, ' ');
  const id receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), buffer.size(), 0);
  CHECK(q.waits(receiving));
  put(pair.far, text);
  const int n = q.result(receiving);
  REQUIRE(n >= 0);
  CHECK(buffer.substr(0, static_cast<std::size_t>(n)) == text);
}

/// Gives the near end that number, which is free or belongs to the pair.
void move_near_end(fd_pair& pair, int number) {
  if (pair.far == number) pair.far = owned_fd(::fcntl(pair.far, F_DUPFD_CLOEXEC, 0));
  if (pair.near == number) return;
  REQUIRE(::dup3(pair.near, number, O_CLOEXEC) == number);
  pair.near = owned_fd(number);
}

/// Without ThreadSanitizer's knowledge: it does not see the operation that closes a number, and
/// would take the next owner's for a race.
fd_pair unseen_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {owned_fd(ends[0]), owned_fd(ends[1])};
}

using make_pair = fd_pair (*)();

}  // namespace

TEST_SUITE("io/kernel_numbers") {
  TEST_CASE("a number that is used again means the new socket, however the old one was closed") {
    on_each_kernel([](kernel& k) {
      raw_queue one(k);
      raw_queue two(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        std::set<int> numbers;
        const int rounds = repetitions(60, 1'000);
        for (int i = 0; i < rounds; ++i) {
          fd_pair pair = i % 2 == 0 ? unix_pair() : tcp_pair();
          numbers.insert(pair.near);
          raw_queue& q = i % 3 == 0 ? two : one;
          receive_waiting(q, pair, "of " + std::to_string(i));
          if (i % 5 == 0) put(pair.far, "never read");
          if (i % 7 == 0) pair.far.close();
          close_by(way, pair.near, q, &q == &one ? two : one);
        }
        CHECK(numbers.size() < static_cast<std::size_t>(rounds) / 4);
      }
    });
  }

  TEST_CASE("a number that is used again waits, though its old socket was ready") {
    on_each_kernel([](kernel& k) {
      raw_queue one(k);
      raw_queue two(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        for (int i = 0; i < repetitions(30, 2'000); ++i) {
          std::array<char, 8> buffer{};
          fd_pair old = unix_pair();
          const int number = old.near;
          const id met = one.start(io_uring_prep_recv, number, buffer.data(), 1, 0);
          CHECK(one.waits(met));
          put(old.far, "ab");  // and one of them is left
          CHECK(one.result(met) == 1);
          close_by(way, old.near, one, two);
          fd_pair fresh = unix_pair();
          move_near_end(fresh, number);
          const id waiting = one.start(io_uring_prep_recv, number, buffer.data(), 8, 0);
          CHECK(one.waits(waiting));
          old.far.close();
          CHECK(one.waits(waiting));
          put(fresh.far, "new");
          CHECK(one.result(waiting) == 3);
          CHECK(std::string(buffer.data(), 3) == "new");
          CHECK(one.waits(one.start(io_uring_prep_recv, number, buffer.data(), 8, 0)));
          CHECK(one.end_all());
          close_by(way, fresh.near, one, two);
        }
      }
    });
  }

  TEST_CASE("a number that is used again sends to the new socket, though the old one was full") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      raw_queue other(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        const std::string much(4 * 1024 * 1024, 'm');
        for (int i = 0; i < repetitions(5, 200); ++i) {
          fd_pair pair = unix_pair();
          const int sent = q.run(io_uring_prep_send, pair.near, much.data(), much.size(), 0);
          CHECK(sent > 0);
          const id stuck = q.start(io_uring_prep_send, pair.near, "x", 1, 0);
          CHECK(q.waits(stuck));
          CHECK(q.cancel(stuck) == 0);
          CHECK(q.result(stuck) == -ECANCELED);
          close_by(way, pair.near, q, other);
          fd_pair fresh = unix_pair();
          CHECK(q.run(io_uring_prep_send, fresh.near, "hello", 5, 0) == 5);
          CHECK(take(fresh.far, 8) == "hello");
          close_by(way, fresh.near, q, other);
        }
      }
    });
  }

  TEST_CASE("a number that is used again for something else means that") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      raw_queue other(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        for (int i = 0; i < 10; ++i) {
          fd_pair pair = tcp_pair();
          const int number = pair.near;
          receive_waiting(q, pair, "socket");
          close_by(way, pair.near, q, other);
          {
            fd_pair pipe = pipe_pair();
            move_near_end(pipe, number);
            char byte = 0;
            const id reading = q.start(io_uring_prep_read, number, &byte, 1, 0);
            CHECK(q.waits(reading));
            put(pipe.far, "p");
            CHECK(q.result(reading) == 1);
            CHECK(q.run(io_uring_prep_recv, number, &byte, 1, 0) == -ENOTSOCK);
          }
          {
            const owned_fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
            const owned_fd same(null == number ? -1 : ::dup3(null, number, O_CLOEXEC));
            char byte = 0;
            CHECK(q.run(io_uring_prep_read, number, &byte, 1, 0) == 0);
            CHECK(q.run(io_uring_prep_write, number, &byte, 1, 0) == 1);
          }
          {
            const owned_fd counter = event_counter();
            const owned_fd same(counter == number ? -1 : ::dup3(counter, number, O_CLOEXEC));
            const id polling = q.start(io_uring_prep_poll_add, number, POLLIN);
            CHECK(q.waits(polling));
            const std::uint64_t one = 1;
            REQUIRE(::write(counter, &one, sizeof one) == sizeof one);
            CHECK(q.result(polling) == POLLIN);
          }
          char byte = 0;
          CHECK(q.run(io_uring_prep_recv, number, &byte, 1, 0) == -EBADF);
        }
      }
    });
  }

  TEST_CASE("a number whose old socket lives on under another one means the new socket") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      raw_queue other(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        for (int i = 0; i < repetitions(20, 1'000); ++i) {
          fd_pair old = unix_pair();
          const int number = old.near;
          receive_waiting(q, old, "old");
          owned_fd kept(::fcntl(old.near, F_DUPFD_CLOEXEC, 0));
          close_by(way, old.near, q, other);
          fd_pair fresh = unix_pair();
          move_near_end(fresh, number);
          std::array<char, 8> buffer{};
          const id waiting = q.start(io_uring_prep_recv, number, buffer.data(), 8, 0);
          CHECK(q.waits(waiting));
          put(old.far, "for the old one");
          CHECK(q.waits(waiting));
          const id of_old = q.start(io_uring_prep_recv, kept, buffer.data(), 0, 0);
          CHECK(q.result(of_old) == 0);
          put(fresh.far, "new");
          CHECK(q.result(waiting) == 3);
          CHECK(std::string(buffer.data(), 3) == "new");
          old.far.close();
          const id again = q.start(io_uring_prep_recv, number, buffer.data(), 8, 0);
          CHECK(q.waits(again));
          CHECK(q.cancel(again) == 0);
          CHECK(q.result(again) == -ECANCELED);
          char rest[32];
          CHECK(q.run(io_uring_prep_recv, kept, rest, sizeof rest, 0) == 15);
          CHECK(q.run(io_uring_prep_recv, kept, rest, sizeof rest, 0) == 0);
          close_by(way, kept, q, other);
          close_by(way, fresh.near, q, other);
        }
      }
    });
  }

  TEST_CASE("a number that was closed plainly may be used again, too, for reads and polls") {
    // A socket that is received from belongs to the kernel: it is closed through that.
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      std::array<char, 8> buffer{};
      for (int i = 0; i < repetitions(60, 3'000); ++i) {
        const fd_pair pair = i % 3 == 0 ? pipe_pair() : i % 3 == 1 ? unix_pair() : tcp_pair();
        const id polling = q.start(io_uring_prep_poll_add, pair.near, POLLIN);
        const id reading = q.start(io_uring_prep_read, pair.near, buffer.data(), 2, 0);
        CHECK(q.waits(polling));
        CHECK(q.waits(reading));
        put(pair.far, "abc");  // and one of them is never read
        CHECK(q.result(polling) == POLLIN);
        CHECK(q.result(reading) == 2);
      }
    });
  }

  TEST_CASE("one socket has two numbers, and each can be waited for") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const fd_pair pair = unix_pair();
      owned_fd second(::fcntl(pair.near, F_DUPFD_CLOEXEC, 0));
      std::array<char, 2> bytes{};
      const id one = q.start(io_uring_prep_recv, pair.near, &bytes[0], 1, 0);
      const id two = q.start(io_uring_prep_recv, second, &bytes[1], 1, 0);
      CHECK(q.waits(one));
      CHECK(q.waits(two));
      put(pair.far, "xx");
      CHECK(q.result(one) == 1);
      CHECK(q.result(two) == 1);
      second.close();
      receive_waiting(q, pair, "still there");
    });
  }

  TEST_CASE("a close does not end the receive that waits, a cancel does") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      raw_queue other(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        for (const make_pair make : {&unix_pair, &tcp_pair}) {
          fd_pair pair = make();
          char byte = 0;
          const id waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
          CHECK(q.waits(waiting));
          close_by(way, pair.near, q, other);
          CHECK(q.waits(waiting));
          CHECK(q.cancel(waiting) == 0);
          CHECK(q.result(waiting) == -ECANCELED);
          CHECK(take(pair.far, 1) == "");  // and now it is closed
        }
      }
    });
  }

  TEST_CASE("a close does not end the accept and the poll that wait, a cancel does") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      raw_queue other(k);
      for (const closing way : every_closing) {
        CAPTURE(way);
        owned_fd listener = listening_socket();
        owned_fd counter = event_counter();
        const id accepting = q.start(io_uring_prep_accept, listener, nullptr, nullptr, 0);
        const id polling = q.start(io_uring_prep_poll_add, counter, POLLIN);
        CHECK(q.waits(accepting));
        CHECK(q.waits(polling));
        close_by(way, listener, q, other);
        close_by(way, counter, q, other);
        CHECK(q.waits(accepting));
        CHECK(q.waits(polling));
        for (const id one : {accepting, polling}) {
          CHECK(q.cancel(one) == 0);
          CHECK(q.result(one) == -ECANCELED);
        }
      }
    });
  }

  TEST_CASE("numbers go round between two threads with queues of their own") {
    on_each_kernel([](kernel& k) {
      const auto churn = [&k](int salt) {
        raw_queue q(k);
        int wrong = 0;
        for (int i = 0; i < repetitions(300, 30'000); ++i) {
          fd_pair pair = unseen_pair();
          const std::string text = std::to_string(salt) + ":" + std::to_string(i);
          std::string buffer(32, ' ');
          const id receiving = q.start(io_uring_prep_recv, pair.near, buffer.data(), 32, 0);
          q.enter(false);
          if (::send(pair.far, text.data(), text.size(), MSG_NOSIGNAL) < 0) ++wrong;
          const int n = q.result(receiving);
          if (n < 0 || buffer.substr(0, static_cast<std::size_t>(n)) != text) ++wrong;
          if (i % 2 == 0) {
            if (q.run(io_uring_prep_close, pair.near.release()) != 0) ++wrong;
          } else if (k.close(pair.near.release()) != 0) {
            ++wrong;
          }
        }
        return wrong;
      };
      int there = -1;
      std::thread other([&] { there = churn(1); });
      const int here = churn(2);
      other.join();
      CHECK(here == 0);
      CHECK(there == 0);
    });
  }
}

}  // namespace kernel_numbers_test

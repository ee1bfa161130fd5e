// SPDX-License-Identifier: MIT
// What a queue promises, on both kernels: batches, waits, deadlines, the doorbell, and that no
// completion is lost. What the operations themselves do is in kernel_*_test.cpp beside this.

#include "support/descriptors.hpp"
#include "support/long_tests.hpp"
#include "support/raw_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

namespace kernel_queue_test {

using namespace weft;
using namespace weft::tests;

namespace {

constexpr std::int64_t ms = 1'000'000;

/// Does nothing when it comes: it only interrupts.
class interrupting_signal {
public:
  interrupting_signal() {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, &before_);
  }
  interrupting_signal(const interrupting_signal&) = delete;
  interrupting_signal& operator=(const interrupting_signal&) = delete;
  ~interrupting_signal() { ::sigaction(SIGUSR1, &before_, nullptr); }

private:
  struct sigaction before_{};
};

/// Enters until no signal ends the wait. It needs no signal: what a ring that was closed leaves to
/// do on this thread interrupts a sleep, too.
int sleep_until(raw_queue& q, std::int64_t deadline_ns) {
  for (;;) {
    const int answer = q.enter(true, deadline_ns);
    if (answer != -EINTR) return answer;
  }
}

/// Hands over `count` operations that do nothing, and does not read what comes of them.
void start_nops(raw_queue& q, int count) {
  for (int i = 0; i < count; ++i) q.start(io_uring_prep_nop);
  q.enter(false);
}

}  // namespace

TEST_SUITE("io/kernel_queue") {
  TEST_CASE("an operation that does nothing completes with 0") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const completion c = q.next(q.start(io_uring_prep_nop));
      CHECK(c.res == 0);
      CHECK(c.flags == 0);
    });
  }

  TEST_CASE("an operation that nobody knows fails alone") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      const auto before = q.start(io_uring_prep_nop);
      const auto unknown = q.start(io_uring_prep_nop);
      q.newest().opcode = 250;
      const auto after = q.start(io_uring_prep_nop);
      CHECK(q.enter(false) == 3);
      CHECK(q.result(before) == 0);
      CHECK(q.result(unknown) == -EINVAL);
      CHECK(q.result(after) == 0);
    });
  }

  TEST_CASE("enter says how many entries it took, and takes no more than it is told") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 8, .completions = 16});
      std::vector<raw_queue::id> all;
      for (int i = 0; i < 5; ++i) all.push_back(q.start(io_uring_prep_nop));
      io_uring& memory = q.memory();
      io_uring_smp_store_release(memory.sq.ktail, memory.sq.sqe_tail);
      CHECK(q.raw().enter(2, false, INT64_MAX) == 2);
      CHECK(memory.sq.sqe_tail - *memory.sq.khead == 3);
      CHECK(q.raw().enter(3, false, INT64_MAX) == 3);
      CHECK(memory.sq.sqe_tail == *memory.sq.khead);
      for (const auto id : all) CHECK(q.result(id) == 0);
    });
  }

  TEST_CASE("a full batch is taken at once, again and again around the end of the queue") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 8, .completions = 16});
      for (int round = 0; round < 20; ++round) {
        std::vector<raw_queue::id> all;
        for (int i = 0; i < 7 + round % 2; ++i) all.push_back(q.start(io_uring_prep_nop));
        CHECK(q.enter(false) == static_cast<int>(all.size()));
        for (const auto id : all) CHECK(q.result(id) == 0);
      }
    });
  }

  TEST_CASE("the queue has room for as many entries and completions as were asked for") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 32, .completions = 64});
      CHECK(q.memory().sq.ring_entries == 32);
      CHECK(q.memory().cq.ring_entries == 64);
      start_nops(q, 32);
      start_nops(q, 32);
      CHECK(q.unread() == 64);
      CHECK((q.flags() & IORING_SQ_CQ_OVERFLOW) == 0);
      CHECK(q.collect() == 64);
    });
  }

  TEST_CASE("completions that find no room are kept, shown by a flag, and brought in by enter") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 4, .completions = 4});
      for (int i = 0; i < 5; ++i) start_nops(q, 4);
      CHECK(q.unread() == 4);
      CHECK((q.flags() & IORING_SQ_CQ_OVERFLOW) != 0);
      unsigned arrived = 0;
      for (int i = 0; i < 10 && arrived < 20; ++i) {
        arrived += q.collect();
        CHECK(q.enter(false) == 0);
      }
      CHECK(arrived == 20);
      CHECK((q.flags() & IORING_SQ_CQ_OVERFLOW) == 0);
      CHECK(q.count_running() == 0);
    });
  }

  TEST_CASE("completions that find no room arrive in their order") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 4, .completions = 4});
      const fd_pair pair = unix_pair();
      std::array<char, 12> bytes{};
      std::vector<raw_queue::id> all;
      for (auto& byte : bytes) {
        all.push_back(q.start(io_uring_prep_recv, pair.near, &byte, 1, 0));
        q.enter(false);
        put(pair.far, "x");
        q.enter(false);
      }
      for (const auto id : all) CHECK(q.result(id) == 1);
    });
  }

  TEST_CASE("a wait with completions unread returns at once") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      start_nops(q, 1);
      CHECK(q.unread() == 1);
      CHECK(q.enter(true) == 0);
      CHECK(q.collect() == 1);
    });
  }

  TEST_CASE("a wait with more completions than there is room for returns at once") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k, {.entries = 4, .completions = 4});
      start_nops(q, 4);
      start_nops(q, 4);
      CHECK(q.collect() == 4);
      CHECK(q.enter(true) == 0);
      CHECK(q.collect() == 4);
    });
  }

  TEST_CASE("a wait that hands over what completes at once returns at once") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      q.start(io_uring_prep_nop);
      q.start(io_uring_prep_nop);
      CHECK(q.enter(true) == 2);
      CHECK(q.collect() == 2);
    });
  }

  TEST_CASE("a wait ends with ETIME at its deadline, not before") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      for (const std::int64_t length : {ms / 20, ms, 3 * ms}) {
        const std::int64_t deadline = k.now() + length;
        CHECK(sleep_until(q, deadline) == -ETIME);
        CHECK(k.now() >= deadline);
      }
    });
  }

  TEST_CASE("a deadline that has passed is no wait") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      for (const std::int64_t deadline : {k.now(), k.now() - ms, std::int64_t{0}, INT64_MIN / 2}) {
        const int answer = q.enter(true, deadline);
        CHECK((answer == 0 || answer == -ETIME));
      }
    });
  }

  TEST_CASE("a deadline that has passed does not keep entries from being taken") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      q.start(io_uring_prep_nop);
      q.start(io_uring_prep_nop);
      CHECK(q.enter(true, k.now() - ms) == 2);
      CHECK(q.collect() == 2);
    });
  }

  TEST_CASE("when a deadline comes behind entries that wait, their number is what enter returns") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      std::array<char, 8> buffer{};
      raw_queue q(k);
      const auto waiting = q.start(io_uring_prep_recv, pair.near, buffer.data(), 8, 0);
      CHECK(q.enter(true, k.now() + ms) == 1);
      CHECK(q.waits(waiting));
    });
  }

  TEST_CASE("a completion ends a wait long before its deadline") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      char byte = 0;
      raw_queue q(k);
      const auto waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
      CHECK(q.waits(waiting));
      std::thread writer([&] { put(pair.far, "x"); });
      const std::int64_t deadline = k.now() + raw_queue::patience_ns;
      while (!q.arrived(waiting) && k.now() < deadline) {
        q.enter(true, deadline);
        q.settle();
      }
      writer.join();
      CHECK(k.now() < deadline);
      CHECK(q.result(waiting) == 1);
    });
  }

  TEST_CASE("a doorbell ends a wait, whether it rings before or during it") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      q.listen_to_doorbell();
      const int rounds = repetitions(200, 20'000);
      std::atomic<int> go{0};
      std::thread other([&] {
        for (int i = 1; i <= rounds; ++i) {
          while (go.load() < i) std::this_thread::yield();
          q.raw().ring_doorbell();
        }
      });
      for (int i = 1; i <= rounds; ++i) {
        go = i;
        if (i % 3 == 0) std::this_thread::yield();
        CHECK(sleep_until(q, k.now() + raw_queue::patience_ns) >= 0);
        q.collect();
      }
      other.join();
    });
  }

  TEST_CASE("a doorbell that rang before the wait ends it") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      q.listen_to_doorbell();
      for (int i = 0; i < 3; ++i) {
        q.raw().ring_doorbell();
        CHECK(sleep_until(q, INT64_MAX) == 0);
        q.collect();
      }
    });
  }

  TEST_CASE("a doorbell that was heard does not end the next wait") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      q.listen_to_doorbell();
      q.raw().ring_doorbell();
      q.raw().ring_doorbell();
      CHECK(sleep_until(q, INT64_MAX) == 0);
      q.settle();
      CHECK(sleep_until(q, k.now() + ms) == -ETIME);
    });
  }

  TEST_CASE("a signal ends a wait with EINTR") {
    on_each_kernel([](kernel& k) {
      const interrupting_signal guard;
      raw_queue q(k);
      std::atomic<bool> enough{false};
      const pthread_t self = ::pthread_self();
      std::thread other([&] {
        while (!enough) {
          ::pthread_kill(self, SIGUSR1);
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      });
      CHECK(q.enter(true, k.now() + raw_queue::patience_ns) == -EINTR);
      enough = true;
      other.join();
    });
  }

  TEST_CASE("signals during waits lose nothing") {
    on_each_kernel([](kernel& k) {
      const interrupting_signal guard;
      const fd_pair pair = unix_pair();
      raw_queue q(k);
      std::atomic<bool> enough{false};
      const pthread_t self = ::pthread_self();
      std::thread other([&] {
        for (int i = 0; !enough; ++i) {
          ::pthread_kill(self, SIGUSR1);
          if (i % 64 == 0) std::this_thread::yield();
        }
      });
      for (int i = 0; i < repetitions(200, 20'000); ++i) {
        char byte = 0;
        const auto waiting = q.start(io_uring_prep_recv, pair.near, &byte, 1, 0);
        q.enter(true, k.now() + ms / 20);
        CHECK(::send(pair.far, "x", 1, 0) == 1);
        CHECK(q.result(waiting) == 1);
        CHECK(byte == 'x');
      }
      enough = true;
      other.join();
    });
  }

  TEST_CASE("two queues of one kernel don't see each other's completions") {
    on_each_kernel([](kernel& k) {
      const fd_pair pair = unix_pair();
      std::array<char, 2> bytes{};
      raw_queue one(k);
      raw_queue two(k);
      const auto first = one.start(io_uring_prep_recv, pair.near, &bytes[0], 1, 0);
      CHECK(one.waits(first));
      const auto second = two.start(io_uring_prep_recv, pair.far, &bytes[1], 1, 0);
      CHECK(two.waits(second));
      CHECK(one.run(io_uring_prep_send, pair.near, "a", 1, 0) == 1);
      CHECK(two.result(second) == 1);
      CHECK(one.waits(first));
      CHECK(two.run(io_uring_prep_send, pair.far, "b", 1, 0) == 1);
      CHECK(one.result(first) == 1);
      CHECK(bytes[0] == 'b');
      CHECK(bytes[1] == 'a');
    });
  }

  TEST_CASE("a queue whose doorbell rang can be closed, and closed on another thread") {
    on_each_kernel([](kernel& k) {
      auto queue = k.open_queue({});
      queue->ring_doorbell();
      queue.reset();
      queue = k.open_queue({});
      CHECK(queue->enter(0, false, INT64_MAX) == 0);
      std::thread([queue = std::move(queue)]() mutable { queue.reset(); }).join();
    });
  }
}

}  // namespace kernel_queue_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/timer_queue.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace timer_queue_test {

using weft::detail::deadline_after;
using weft::detail::no_deadline;
using weft::detail::timer;
using weft::detail::timer_memory;
using weft::detail::timer_queue;

namespace {

constexpr std::int64_t century = 100LL * 365 * 24 * 3600 * 1'000'000'000;

// Memory that can run out, and that knows what it gave.
std::size_t bytes_given = 0;
std::size_t bytes_available = 0;

void* scarce_allocate(std::size_t bytes) noexcept {
  if (bytes_given + bytes > bytes_available) return nullptr;
  void* const memory = ::operator new(bytes, std::align_val_t{64}, std::nothrow);
  if (memory != nullptr) bytes_given += bytes;
  return memory;
}

void scarce_release(void* memory, std::size_t bytes) noexcept {
  bytes_given -= bytes;
  ::operator delete(memory, bytes, std::align_val_t{64});
}

constexpr timer_memory scarce{scarce_allocate, scarce_release};

std::uint64_t chosen_seed() {
  if (const char* const text = std::getenv("WEFT_TEST_SEED")) return std::stoull(text);
  return std::random_device{}();
}

// Runs random insertions, cancels and advances against a multimap, which keeps the order of
// insertion among equal keys as the queue promises to. `coarse` makes equal deadlines frequent.
void compare_with_multimap(timer_queue& queue, std::uint64_t seed, int steps, std::int64_t coarse,
                           std::size_t timers) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<timer> nodes(timers);
  std::multimap<std::int64_t, timer*> oracle;
  std::vector<std::multimap<std::int64_t, timer*>::iterator> where(timers, oracle.end());
  std::int64_t now = 0;
  bool same = true;
  for (int step = 0; step < steps && same; ++step) {
    const std::size_t i = random() % timers;
    timer& t = nodes[i];
    const auto kind = random() % 16;
    if (kind == 0) {
      // Forward by up to twice what a turn inserts, so that the queue both grows and drains.
      now += static_cast<std::int64_t>(random() % 64) * coarse;
      while (timer* const expired = queue.pop_expired(now)) {
        same = same && !oracle.empty() && oracle.begin()->second == expired &&
               expired->deadline_ns <= now && !expired->queued();
        if (!same) break;
        where[static_cast<std::size_t>(expired - nodes.data())] = oracle.end();
        oracle.erase(oracle.begin());
      }
      same = same && (oracle.empty() || oracle.begin()->first > now);
    } else if (t.queued()) {
      queue.remove(t);
      oracle.erase(where[i]);
      where[i] = oracle.end();
      same = !t.queued();
    } else {
      t.deadline_ns = now + static_cast<std::int64_t>(random() % 1024) * coarse;
      queue.insert(t);
      where[i] = oracle.emplace(t.deadline_ns, &t);
      same = t.queued();
    }
    same = same && queue.size() == oracle.size() &&
           queue.next_deadline() == (oracle.empty() ? no_deadline : oracle.begin()->first);
  }
  CHECK(same);
  for (timer& t : nodes) queue.remove(t);
  CHECK(queue.empty());
}

}  // namespace

TEST_SUITE("runtime/timer_queue") {
  TEST_CASE("an empty queue has no deadline and nothing expired") {
    timer_queue queue;
    CHECK(queue.next_deadline() == no_deadline);
    CHECK(queue.pop_expired(no_deadline) == nullptr);
    CHECK(queue.segment_bytes() == 0);
  }

  TEST_CASE("a timer expires at its deadline and not a nanosecond before") {
    timer_queue queue;
    timer t{.deadline_ns = 1000};
    queue.insert(t);
    CHECK(queue.next_deadline() == 1000);
    CHECK(queue.pop_expired(999) == nullptr);
    CHECK(queue.pop_expired(1000) == &t);
    CHECK_FALSE(t.queued());
    CHECK(queue.empty());
  }

  TEST_CASE("equal deadlines expire in the order of insertion") {
    timer_queue queue;
    std::vector<timer> timers(1000);
    for (timer& t : timers) {
      t.deadline_ns = 5;
      queue.insert(t);
    }
    bool in_order = true;
    for (timer& t : timers) in_order = queue.pop_expired(5) == &t && in_order;
    CHECK(in_order);
  }

  TEST_CASE("removing a timer that is not queued does nothing") {
    timer_queue queue;
    timer t{.deadline_ns = 1};
    queue.remove(t);
    queue.insert(t);
    queue.remove(t);
    queue.remove(t);
    CHECK(queue.empty());
  }

  TEST_CASE("a timer can be inserted again from where it expired") {
    timer_queue queue;
    timer t{.deadline_ns = 1};
    queue.insert(t);
    for (std::int64_t now = 1; now < 100; ++now) {
      REQUIRE(queue.pop_expired(now) == &t);
      t.deadline_ns = now + 1;
      queue.insert(t);
    }
    CHECK(queue.size() == 1);
  }

  TEST_CASE("random operations agree with a multimap") {
    const std::uint64_t seed = chosen_seed();
    MESSAGE("seed " << seed << " (set WEFT_TEST_SEED to repeat)");
    timer_queue queue;
    compare_with_multimap(queue, seed, 1'000'000, 1, 3000);
    compare_with_multimap(queue, seed + 1, 300'000, 1'000'000'000, 40);
  }

  TEST_CASE("random operations agree with a multimap when memory is scarce") {
    const std::uint64_t seed = chosen_seed();
    MESSAGE("seed " << seed << " (set WEFT_TEST_SEED to repeat)");
    for (const std::size_t available : {std::size_t{0}, std::size_t{1024}, std::size_t{4096}}) {
      bytes_available = available;
      timer_queue queue(scarce);
      compare_with_multimap(queue, seed, 50'000, 1, 400);
    }
    CHECK(bytes_given == 0);
  }

  TEST_CASE("timers that wait for memory move to the heap when there is room") {
    bytes_available = 1024;  // one segment: 61 timers
    timer_queue queue(scarce);
    std::vector<timer> timers(100);
    std::int64_t deadline = 100;
    for (timer& t : timers) {
      t.deadline_ns = --deadline;
      queue.insert(t);
    }
    CHECK(queue.size() == 100);
    CHECK(queue.next_deadline() == 0);
    bool in_order = true;
    for (std::int64_t now = 0; now < 100; ++now) {
      timer* const t = queue.pop_expired(now);
      in_order = in_order && t != nullptr && t->deadline_ns == now;
    }
    CHECK(in_order);
    CHECK(queue.empty());
  }

  TEST_CASE("a century of virtual time passes in order") {
    timer_queue queue;
    std::mt19937_64 random(1);
    std::vector<timer> timers(20'000);
    for (timer& t : timers) {
      t.deadline_ns = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(century));
      queue.insert(t);
    }
    timer last{.deadline_ns = no_deadline};
    queue.insert(last);
    std::int64_t now = 0;
    std::size_t expired = 0;
    bool in_order = true;
    while (queue.next_deadline() <= century) {
      in_order = in_order && queue.next_deadline() >= now &&
                 queue.pop_expired(queue.next_deadline() - 1) == nullptr;
      now = queue.next_deadline();
      while (queue.pop_expired(now) != nullptr) ++expired;
    }
    CHECK(in_order);
    CHECK(expired == timers.size());
    CHECK(queue.pop_expired(no_deadline - 1) == nullptr);
    CHECK(queue.pop_expired(no_deadline) == &last);
  }

  TEST_CASE("a million timers at once expire in order, and their memory is given back") {
    bytes_available = std::numeric_limits<std::size_t>::max() / 2;
    {
      timer_queue queue(scarce);
      std::mt19937_64 random(2);
      std::vector<timer> timers(1'000'000);
      for (timer& t : timers) {
        t.deadline_ns = static_cast<std::int64_t>(random() >> 2);
        queue.insert(t);
      }
      CHECK(queue.size() == timers.size());
      CHECK(queue.segment_bytes() == bytes_given);
      CHECK(bytes_given >= timers.size() * 16);
      std::size_t expired = 0;
      std::int64_t previous = 0;
      bool in_order = true;
      while (timer* const t = queue.pop_expired(no_deadline)) {
        in_order = in_order && t->deadline_ns >= previous;
        previous = t->deadline_ns;
        ++expired;
      }
      CHECK(in_order);
      CHECK(expired == timers.size());
      CHECK(bytes_given <= 4096);
    }
    CHECK(bytes_given == 0);
  }

  TEST_CASE("a size that goes up and down around a segment's edge does not allocate each time") {
    bytes_available = std::numeric_limits<std::size_t>::max() / 2;
    timer_queue queue(scarce);
    std::vector<timer> timers(200);
    for (std::size_t i = 0; i < 125; ++i) queue.insert(timers[i]);
    queue.insert(timers[125]);
    const std::size_t held = bytes_given;
    for (int turn = 0; turn < 100; ++turn) {
      queue.remove(timers[125]);
      queue.remove(timers[124]);
      CHECK(bytes_given == held);
      queue.insert(timers[124]);
      queue.insert(timers[125]);
    }
    CHECK(bytes_given == held);
  }

  TEST_CASE("a deadline saturates, rounds up and is never before now") {
    using namespace std::chrono;
    static_assert(deadline_after(5, nanoseconds(7)) == 12);
    static_assert(deadline_after(5, seconds(1)) == 1'000'000'005);
    static_assert(deadline_after(5, years::max()) == no_deadline);
    static_assert(deadline_after(5, hours::max()) == no_deadline);
    static_assert(deadline_after(5, nanoseconds::max()) == no_deadline);
    static_assert(deadline_after(0, nanoseconds::max()) == no_deadline);
    static_assert(deadline_after(no_deadline, nanoseconds(1)) == no_deadline);
    static_assert(deadline_after(5, seconds::min()) == 5);
    static_assert(deadline_after(5, nanoseconds(0)) == 5);
    using picoseconds = duration<std::int64_t, std::pico>;
    static_assert(deadline_after(5, picoseconds(1)) == 6);
    static_assert(deadline_after(5, picoseconds(2000)) == 7);
    static_assert(deadline_after(5, duration<std::uint64_t, std::nano>(~0ULL)) == no_deadline);
    CHECK(deadline_after(5, duration<double>(0.5)) == 500'000'005);
    CHECK(deadline_after(5, duration<double, std::nano>(0.25)) == 6);
    CHECK(deadline_after(5, duration<double>(1e300)) == no_deadline);
    CHECK(deadline_after(5, duration<double>(std::numeric_limits<double>::infinity())) ==
          no_deadline);
    CHECK(deadline_after(5, duration<double>(std::numeric_limits<double>::quiet_NaN())) == 5);
  }
}

}  // namespace timer_queue_test

// SPDX-License-Identifier: MIT
#include "weft/runtime/frame_cache.hpp"

#include "support/long_tests.hpp"
#include "support/sanitizers.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace frame_cache_test {

using weft::detail::allocate_frame;
using weft::detail::allocate_record;
using weft::detail::deallocate_frame;
using weft::detail::deallocate_record;
using weft::detail::frame_cache;
using weft::detail::frame_page_size;
using weft::detail::frame_store;
using weft::detail::live_frame_bytes;
using weft::detail::spin_lock;
using weft::tests::with_address_sanitizer;
using weft::tests::with_thread_sanitizer;

namespace {

constexpr std::size_t batch_bytes = weft::detail::frame_batch_bytes;
constexpr std::size_t stack_bytes_max = frame_cache::stack_pages_max * frame_page_size;

/// This thread is the worker whose cache it is, for as long as the object lives.
class worker_here {
public:
  explicit worker_here(frame_cache& c) : cache_(c) { cache_.bind(); }
  ~worker_here() { cache_.unbind(); }
  worker_here(const worker_here&) = delete;
  worker_here& operator=(const worker_here&) = delete;

private:
  frame_cache& cache_;
};

/// A worker of its own, on this thread.
struct lone_worker {
  frame_cache cache;
  worker_here here{cache};
};

struct frame {
  void* memory;
  std::size_t bytes;
};

frame make(std::size_t bytes) {
  void* const memory = allocate_frame(bytes);
  std::memset(memory, static_cast<int>(bytes % 251), bytes);
  return {memory, bytes};
}
bool end(frame f) {
  const auto* const bytes = static_cast<unsigned char*>(f.memory);
  const auto mark = static_cast<unsigned char>(f.bytes % 251);
  const bool intact =
      std::all_of(bytes, bytes + f.bytes, [&](unsigned char b) { return b == mark; });
  deallocate_frame(f.memory, f.bytes);
  return intact;
}

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

std::vector<void*> make_roots(std::size_t count, std::size_t bytes) {
  std::vector<void*> roots(count);
  for (void*& root : roots) root = allocate_record(bytes);
  return roots;
}
void end_roots(const std::vector<void*>& roots, std::size_t bytes) {
  for (void* root : roots) deallocate_record(root, bytes);
}

/// Frames on their way from one thread to others.
class road {
public:
  void send(frame f) {
    const std::lock_guard guard(lock_);
    frames_.push_back(f);
  }
  bool receive(frame& f) {
    const std::lock_guard guard(lock_);
    if (frames_.empty()) return false;
    f = frames_.front();
    frames_.pop_front();
    return true;
  }
  std::size_t size() {
    const std::lock_guard guard(lock_);
    return frames_.size();
  }

private:
  std::mutex lock_;
  std::deque<frame> frames_;
};

}  // namespace

TEST_SUITE("runtime/spin_lock") {
  TEST_CASE("a held lock cannot be tried, a released one can") {
    constinit static spin_lock lock;
    REQUIRE(lock.try_lock());
    CHECK_FALSE(lock.try_lock());
    lock.unlock();
    CHECK(lock.try_lock());
    lock.unlock();
  }

  TEST_CASE("threads exclude each other") {
    spin_lock lock;
    int counter = 0;
    auto count = [&] {
      for (int i = 0; i < 100'000; ++i) {
        const std::lock_guard guard(lock);
        ++counter;
      }
    };
    std::thread first(count);
    std::thread second(count);
    std::thread third(count);
    first.join();
    second.join();
    third.join();
    CHECK(counter == 300'000);
  }
}

TEST_SUITE("runtime/frame_cache") {
  TEST_CASE("frames of every size are aligned, apart and writable to the end") {
    const std::int64_t before = live_frame_bytes();
    const auto all_sizes = [] {
      std::vector<frame> frames;
      std::vector<frame> roots;
      std::set<void*> distinct;
      bool all_aligned = true;
      for (std::size_t bytes = 1; bytes < 9000; bytes += bytes < 200 ? 1 : 61) {
        frames.push_back(make(bytes));
        roots.push_back({allocate_record(bytes), bytes});
        std::memset(roots.back().memory, 0xAB, bytes);
        for (const frame& f : {frames.back(), roots.back()}) {
          all_aligned = all_aligned && aligned(f.memory);
          distinct.insert(f.memory);
        }
      }
      CHECK(all_aligned);
      CHECK(distinct.size() == 2 * frames.size());
      bool intact = true;
      for (const frame& f : frames) intact = end(f) && intact;
      for (const frame& f : roots) deallocate_record(f.memory, f.bytes);
      CHECK(intact);
    };
    all_sizes();  // without a worker
    CHECK(live_frame_bytes() == before);
    {
      const lone_worker worker;
      all_sizes();
      CHECK(live_frame_bytes() == before);
    }
    CHECK(live_frame_bytes() == before);
  }

  TEST_CASE("the frame that ended last is where the next one lies" *
            doctest::skip(with_address_sanitizer)) {
    lone_worker worker;
    const frame first = make(100);
    const frame second = make(300);
    end(second);
    const frame third = make(200);
    CHECK(third.memory == second.memory);
    CHECK(worker.cache.live_bytes() == 128 + 256);
    end(third);
    end(first);
    CHECK(worker.cache.live_bytes() == 0);

    void* const root = allocate_record(100);
    void* const other = allocate_record(100);
    deallocate_record(root, 100);
    deallocate_record(other, 100);
    CHECK(allocate_record(128) == other);  // the same class
    CHECK(allocate_record(65) == root);
    deallocate_record(root, 65);
    deallocate_record(other, 128);
  }

  TEST_CASE("a hole is used again when what lies above it has ended" *
            doctest::skip(with_address_sanitizer)) {
    lone_worker worker;
    const frame bottom = make(100);
    std::array<frame, 40> frames;
    for (const bool oldest_first : {true, false}) {
      for (frame& f : frames) f = make(50 + 90 * static_cast<std::size_t>(&f - frames.data()));
      CHECK(worker.cache.live_bytes() > 1000);
      if (oldest_first) {
        for (const frame& f : frames) CHECK(end(f));
      } else {
        std::shuffle(frames.begin(), frames.end(), std::mt19937(7));
        for (const frame& f : frames) CHECK(end(f));
      }
      CHECK(worker.cache.live_bytes() == 128);
      end(make(64));
      end(bottom);  // finds the holes above it
      CHECK(make(100).memory == bottom.memory);
    }
    CHECK(worker.cache.stack_pages() <= 2);
    end(bottom);
  }

  TEST_CASE("a stack goes up through its pages and comes down again, and is bounded" *
            doctest::skip(with_address_sanitizer)) {
    lone_worker worker;
    for (int round = 0; round < 3; ++round) {
      std::vector<frame> frames;
      for (std::size_t i = 0; i < 3 * stack_bytes_max / 512; ++i) frames.push_back(make(500));
      CHECK(worker.cache.stack_pages() == frame_cache::stack_pages_max);
      CHECK(worker.cache.live_bytes() == static_cast<std::int64_t>(frames.size() * 512));
      bool intact = true;
      for (; !frames.empty(); frames.pop_back()) intact = end(frames.back()) && intact;
      CHECK(intact);
      CHECK(worker.cache.live_bytes() == 0);
      CHECK(worker.cache.stack_pages() <= 2);
    }
    // To and fro across the edge of a page.
    std::vector<frame> frames;
    while (worker.cache.stack_pages() < 3) frames.push_back(make(500));
    for (int i = 0; i < 1000; ++i) {
      end(frames.back());
      frames.pop_back();
      end(frames.back());
      frames.back() = make(500);
      frames.push_back(make(500));
    }
    CHECK(worker.cache.stack_pages() == 3);
    for (; !frames.empty(); frames.pop_back()) end(frames.back());
  }

  TEST_CASE("frames that stay do not make the stack grow beyond its bound" *
            doctest::skip(with_address_sanitizer)) {
    lone_worker worker;
    std::vector<frame> stay;
    bool intact = true;
    for (int i = 0; i < 20'000; ++i) {
      std::array<frame, 8> pass;
      for (frame& f : pass) f = make(200);
      if (i % 4 == 0) stay.push_back(make(100));
      for (const frame& f : pass) intact = end(f) && intact;
    }
    CHECK(intact);
    CHECK(worker.cache.stack_pages() <= frame_cache::stack_pages_max);
    CHECK(worker.cache.live_bytes() == static_cast<std::int64_t>(stay.size() * 128));
    for (const frame& f : stay) end(f);
    CHECK(worker.cache.live_bytes() == 0);
    const frame next = make(100);  // the stack can be used again
    CHECK(make(100).memory == static_cast<char*>(next.memory) + 128);
    end({static_cast<char*>(next.memory) + 128, 100});
    end(next);
  }

  TEST_CASE("what a cache keeps of a class is bounded, the store gets the rest" *
            doctest::skip(with_address_sanitizer)) {
    lone_worker worker;
    for (const std::size_t bytes : {64UL, 192UL, 1024UL, 4096UL}) {
      const std::size_t before = worker.cache.listed_bytes();
      end_roots(make_roots(20 * batch_bytes / bytes, bytes), bytes);
      CHECK(worker.cache.listed_bytes() - before <= 2 * batch_bytes);
      CHECK(worker.cache.listed_bytes() - before > batch_bytes - bytes);
    }
    CHECK(worker.cache.live_bytes() == 0);
  }

  TEST_CASE("empty pages beyond a bound go back to the heap" *
            doctest::skip(with_address_sanitizer)) {
    constexpr std::size_t much = std::size_t{96} << 20;
    frame_store& store = frame_store::instance();
    const std::size_t before = store.page_bytes();
    {
      const lone_worker worker;
      const std::vector<void*> roots = make_roots(much / 4096, 4000);
      CHECK(store.page_bytes() - before > much - (std::size_t{40} << 20));
      end_roots(roots, 4000);
    }
    CHECK(store.unused_bytes() <= std::size_t{33} << 20);
    CHECK(store.page_bytes() <= before + (std::size_t{34} << 20));
  }

  TEST_CASE("a frame may end on a thread without a worker, and begin on one") {
    const std::int64_t before = live_frame_bytes();
    {
      lone_worker worker;
      const frame first = make(200);
      const frame second = make(300);
      const frame large = make(5000);
      void* const root = allocate_record(400);
      frame outside{};
      std::thread([&] {
        CHECK(end(first));
        CHECK(end(second));
        CHECK(end(large));
        deallocate_record(root, 400);
        outside = make(500);
      }).join();
      CHECK(live_frame_bytes() ==
            before + 512 * !with_address_sanitizer + 500 * with_address_sanitizer);
      CHECK(end(outside));
    }
    CHECK(live_frame_bytes() == before);
  }

  TEST_CASE("frames outlive the cache that they came from") {
    const std::int64_t before = live_frame_bytes();
    std::vector<frame> frames;
    {
      const lone_worker worker;
      for (std::size_t i = 0; i < 2000; ++i) frames.push_back(make(50 + i % 900));
      for (std::size_t i = 0; i < frames.size(); i += 3) CHECK(end(std::exchange(frames[i], {})));
    }
    std::erase_if(frames, [](const frame& f) { return f.memory == nullptr; });
    CHECK(live_frame_bytes() > before);
    const std::size_t half = frames.size() / 2;
    for (std::size_t i = 0; i < half; ++i) CHECK(end(frames[i]));
    {
      const lone_worker another;
      for (std::size_t i = half; i < frames.size(); ++i) CHECK(end(frames[i]));
    }
    CHECK(live_frame_bytes() == before);
  }

  TEST_CASE("a cache is bound to one thread after the other") {
    const std::int64_t before = live_frame_bytes();
    {
      frame_cache cache;
      std::vector<frame> frames;
      for (int i = 0; i < 4; ++i) {
        std::thread([&] {
          const worker_here here(cache);
          frames.push_back(make(100));
          frames.push_back(make(200));
          CHECK(end(frames.front()));
          frames.erase(frames.begin());
        }).join();
      }
      for (const frame& f : frames) CHECK(end(f));
    }
    CHECK(live_frame_bytes() == before);
  }

  TEST_CASE("frames made by one worker and ended by another find their way back") {
    constexpr int count = 200'000;
    const auto at_least = std::chrono::seconds(weft::tests::repetitions(0, 10));
    const auto begin = std::chrono::steady_clock::now();
    const std::int64_t before = live_frame_bytes();
    frame_store& store = frame_store::instance();
    const std::size_t pages_before = store.page_bytes() - store.unused_bytes();
    std::size_t pages_most = 0;
    road to_consumer;
    std::atomic<bool> done{false};
    std::thread producer([&] {
      const lone_worker worker;
      bool goes_on = true;
      for (int i = 0; goes_on;) {
        if (to_consumer.size() >= 1000) {
          std::this_thread::yield();
          continue;
        }
        to_consumer.send(make(256 + static_cast<std::size_t>(i) % 64));
        if (++i % 1000 != 0) continue;
        pages_most = std::max(pages_most, store.page_bytes() - store.unused_bytes());
        goes_on = i < count || std::chrono::steady_clock::now() - begin < at_least;
      }
      done = true;
    });
    std::thread consumer([&] {
      const lone_worker worker;
      bool intact = true;
      for (frame f{};;) {
        const bool last = done;
        if (to_consumer.receive(f)) {
          intact = end(f) && intact;
        } else if (last) {
          break;
        } else {
          std::this_thread::yield();
        }
      }
      CHECK(intact);
    });
    producer.join();
    consumer.join();
    CHECK(live_frame_bytes() == before);
    // The stack of the producer, and what the lists of both keep; without a way back it would be
    // 60 MB.
    CHECK(pages_most <= pages_before + stack_bytes_max + 8 * frame_page_size);
  }

  TEST_CASE("workers that end each other's frames, and come and go, keep them apart") {
    constexpr int rounds = 12;
    constexpr int calls = 4000;
    const std::int64_t before = live_frame_bytes();
    std::array<road, 3> roads;
    std::atomic<bool> intact{true};
    const auto work = [&](unsigned self) {
      std::mt19937 random(self);
      for (int round = 0; round < rounds; ++round) {
        const auto worker = self != 2 || round % 2 == 0 ? std::make_unique<lone_worker>() : nullptr;
        std::vector<frame> own;
        for (int i = 0; i < calls; ++i) {
          const std::size_t bytes = 1 + random() % (random() % 8 == 0 ? 5000 : 600);
          frame f{};
          switch (random() % 8) {
          case 0:
            roads[random() % 3].send(make(bytes));
            break;
          case 1:
            if (roads[self].receive(f) && !end(f)) intact = false;
            break;
          case 2:
          case 3:
          case 4:
            own.push_back(make(bytes));
            break;
          default:
            if (own.empty()) break;
            if (random() % 8 == 0) std::swap(own[random() % own.size()], own.back());
            if (!end(own.back())) intact = false;
            own.pop_back();
          }
        }
        for (const frame& f : own) roads[random() % 3].send(f);
      }
    };
    std::thread first(work, 0u);
    std::thread second(work, 1u);
    std::thread third(work, 2u);
    first.join();
    second.join();
    third.join();
    frame f{};
    for (road& r : roads)
      while (r.receive(f))
        if (!end(f)) intact = false;
    CHECK(intact);
    CHECK(live_frame_bytes() == before);
  }

  // The sanitizers' operator new ends the program instead of throwing, unless told otherwise.
  TEST_CASE("an impossible size throws bad_alloc and changes nothing" *
            doctest::skip(with_address_sanitizer || with_thread_sanitizer)) {
    const std::int64_t before = live_frame_bytes();
    constexpr std::size_t impossible = std::numeric_limits<std::size_t>::max() / 2 - 4096;
    const auto attempt = [&] { deallocate_frame(allocate_frame(impossible), impossible); };
    CHECK_THROWS_AS(attempt(), std::bad_alloc);
    const lone_worker worker;
    CHECK_THROWS_AS(attempt(), std::bad_alloc);
    CHECK(live_frame_bytes() == before);
  }

  TEST_CASE("AddressSanitizer sees who uses a frame after its end" *
            doctest::skip(!with_address_sanitizer)) {
    const lone_worker worker;
    for (const bool root : {false, true}) {
      void* const memory = root ? allocate_record(500) : allocate_frame(500);
      CHECK(__asan_address_is_poisoned(memory) == 0);
      CHECK(__asan_address_is_poisoned(static_cast<char*>(memory) + 500) != 0);
      if (root)
        deallocate_record(memory, 500);
      else
        deallocate_frame(memory, 500);
      CHECK(__asan_address_is_poisoned(memory) != 0);

      auto* const bytes = static_cast<volatile char*>(memory);
      const pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        close(STDERR_FILENO);  // the report is expected
        bytes[8] = 1;
        _exit(0);
      }
      int status = 0;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    }
  }
}

}  // namespace frame_cache_test

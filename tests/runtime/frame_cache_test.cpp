// SPDX-License-Identifier: MIT
#include "weft/runtime/frame_cache.hpp"

#include "weft/runtime/spin_lock.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

extern "C" {
[[gnu::weak]] int __asan_address_is_poisoned(const volatile void* address) noexcept;
[[gnu::weak]] void __tsan_acquire(void* address) noexcept;
}

using weft::detail::frame_cache;
using weft::detail::frame_depot;
using weft::detail::spin_lock;

namespace {

const bool with_address_sanitizer = __asan_address_is_poisoned != nullptr;
const bool with_thread_sanitizer = __tsan_acquire != nullptr;

constexpr std::size_t batch_bytes = weft::detail::frame_batch_bytes;
constexpr std::size_t cache_bytes_max = 2 * batch_bytes;  // per class

bool aligned(const void* block) { return reinterpret_cast<std::uintptr_t>(block) % 64 == 0; }

std::vector<void*> allocate_many(frame_cache& cache, std::size_t count, std::size_t size) {
  std::vector<void*> blocks(count);
  for (void*& block : blocks) block = cache.allocate(size);
  return blocks;
}

void deallocate_all(frame_cache& cache, const std::vector<void*>& blocks, std::size_t size) {
  for (void* block : blocks) cache.deallocate(block, size);
}

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
  TEST_CASE("blocks of every size are aligned, apart and writable to the end") {
    frame_cache cache;
    std::vector<std::size_t> sizes;
    for (std::size_t size = 1; size < 2200; size += 13) sizes.push_back(size);
    for (const std::size_t size : {0UL, 1UL, 63UL, 64UL, 65UL, 2047UL, 2048UL, 2049UL, 100'000UL})
      sizes.push_back(size);
    std::vector<void*> blocks;
    bool all_aligned = true;
    for (const std::size_t size : sizes) {
      void* const block = cache.allocate(size);
      all_aligned = all_aligned && aligned(block);
      std::memset(block, 0xAB, size);
      blocks.push_back(block);
    }
    CHECK(all_aligned);
    CHECK(std::set<void*>(blocks.begin(), blocks.end()).size() == sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) cache.deallocate(blocks[i], sizes[i]);
    CHECK(cache.live() == 0);
    CHECK(cache.allocated() == sizes.size());
    CHECK(cache.freed() == sizes.size());
  }

  TEST_CASE("the block that was freed last is used again first") {
    frame_cache cache;
    void* const first = cache.allocate(100);
    void* const second = cache.allocate(100);
    cache.deallocate(first, 100);
    cache.deallocate(second, 100);
    CHECK(cache.cached_bytes() == 256);
    CHECK(cache.allocate(128) == second);  // the same class
    CHECK(cache.allocate(65) == first);
    CHECK(cache.cached_bytes() == 0);
    cache.deallocate(first, 65);
    cache.deallocate(second, 128);
  }

  TEST_CASE("what a cache keeps of a class is bounded") {
    frame_cache cache;
    for (const std::size_t size : {64UL, 192UL, 1024UL, 2048UL}) {
      const std::size_t before = cache.cached_bytes();
      deallocate_all(cache, allocate_many(cache, 3 * cache_bytes_max / size, size), size);
      CHECK(cache.cached_bytes() - before <= cache_bytes_max);
      CHECK(cache.cached_bytes() - before > batch_bytes - size);
    }
    CHECK(cache.live() == 0);
  }

  TEST_CASE("a depot keeps what caches have too much of, within its own bound") {
    frame_depot depot(4 * batch_bytes);
    {
      frame_cache cache(&depot);
      deallocate_all(cache, allocate_many(cache, 20 * batch_bytes / 64, 64), 64);
      CHECK(depot.cached_bytes() == 4 * batch_bytes);
      deallocate_all(cache, allocate_many(cache, 20 * batch_bytes / 128, 128), 128);
      CHECK(depot.cached_bytes() == 4 * batch_bytes);
    }
    // Another worker gets the depot's blocks before it asks the heap.
    frame_cache other(&depot);
    auto blocks = allocate_many(other, batch_bytes / 64 + 1, 64);
    CHECK(depot.cached_bytes() == 2 * batch_bytes);
    deallocate_all(other, blocks, 64);
  }

  TEST_CASE("a block may be freed by any cache, and without one") {
    frame_cache first;
    frame_cache second;
    void* const a = first.allocate(200);
    second.deallocate(a, 200);
    CHECK(first.live() == 1);
    CHECK(second.live() == -1);
    CHECK(second.allocate(200) == a);

    void* const b = first.allocate(300);
    std::thread([&] { frame_cache::deallocate_uncached(b, 300); }).join();
    std::thread([&] { frame_cache::deallocate_uncached(a, 200); }).join();

    void* const c = frame_cache::allocate_uncached(300);
    CHECK(aligned(c));
    first.deallocate(c, 300);
    CHECK(first.allocate(300) == c);
    first.deallocate(c, 300);
  }

  TEST_CASE("frames made by one worker and ended by another find their way back") {
    constexpr std::size_t size = 256;
    constexpr int frames = 200'000;
    frame_depot depot;
    spin_lock lock;
    std::deque<void*> travelling;
    std::atomic<bool> done{false};
    std::set<void*> distinct;

    std::thread producer([&] {
      frame_cache cache(&depot);
      for (int i = 0; i < frames;) {
        bool full = false;
        {
          const std::lock_guard guard(lock);
          full = travelling.size() >= 1000;
        }
        if (full) {
          std::this_thread::yield();
          continue;
        }
        void* const block = cache.allocate(size);
        std::memset(block, i, size);
        distinct.insert(block);
        const std::lock_guard guard(lock);
        travelling.push_back(block);
        ++i;
      }
      done = true;
      CHECK(cache.live() == frames);
    });
    std::thread consumer([&] {
      frame_cache cache(&depot);
      std::int64_t freed = 0;
      for (;;) {
        const bool last = done;
        void* block = nullptr;
        {
          const std::lock_guard guard(lock);
          if (!travelling.empty()) {
            block = travelling.front();
            travelling.pop_front();
          }
        }
        if (block != nullptr) {
          cache.deallocate(block, size);
          ++freed;
        } else if (last) {
          break;
        } else {
          std::this_thread::yield();
        }
      }
      CHECK(cache.live() == -frames);
      CHECK(freed == frames);
    });
    producer.join();
    consumer.join();
    // 1000 on their way, two batches in each cache and a few in the depot; without a way back it
    // would be 200,000.
    CHECK(distinct.size() <= 1000 + 8 * batch_bytes / size);
    CHECK(depot.cached_bytes() <= 8 * batch_bytes);
  }

  // The sanitizers' operator new ends the program instead of throwing, unless told otherwise.
  TEST_CASE("an impossible size throws bad_alloc and changes nothing" *
            doctest::skip(with_address_sanitizer || with_thread_sanitizer)) {
    frame_cache cache;
    constexpr std::size_t impossible = std::numeric_limits<std::size_t>::max() / 2 - 4096;
    bool thrown = false;
    try {
      cache.deallocate(cache.allocate(impossible), impossible);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    CHECK(thrown);
    CHECK(cache.allocated() == 0);
    CHECK(cache.live() == 0);
  }

  TEST_CASE("a cached block is poisoned under AddressSanitizer until it is used again" *
            doctest::skip(!with_address_sanitizer)) {
    frame_depot depot;
    frame_cache cache(&depot);
    // Enough to fill the open batch, the reserve and the depot.
    auto blocks = allocate_many(cache, 4 * batch_bytes / 512, 500);
    deallocate_all(cache, blocks, 500);
    bool all = true;
    for (const void* block : blocks) {
      const auto* const bytes = static_cast<const char*>(block);
      all = all && __asan_address_is_poisoned(bytes) != 0 &&
            __asan_address_is_poisoned(bytes + 499) != 0;
    }
    CHECK(all);

    auto* const bytes = static_cast<volatile char*>(blocks.back());
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

    blocks = allocate_many(cache, 4 * batch_bytes / 512, 500);
    all = true;
    for (void* block : blocks) {
      all = all && __asan_address_is_poisoned(block) == 0;
      std::memset(block, 1, 500);
    }
    CHECK(all);
    deallocate_all(cache, blocks, 500);
  }
}

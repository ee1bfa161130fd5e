// SPDX-License-Identifier: MIT
// No memory at the first allocation, at the second, and so on until all goes well: bad_alloc comes
// from the call that makes the thing, nothing of it is left, and what runs already goes on.
#include "allocation/counting_new.hpp"
#include "support/both_schedulers.hpp"
#include "support/descriptors.hpp"
#include "support/raw_queue.hpp"
#include "weft/io/kernel/kernel.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/frame_store.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace bad_alloc_test {

using namespace weft;
using tests::failing_new;
using tests::no_memory;
using tests::on_both;

namespace {

/// A task whose frame is too large for the cache: it is allocated each time (and not inlined, since
/// a compiler may leave out the frame of a coroutine that it sees destroyed at once).
[[gnu::noinline]] task<int> large(int n) {
  std::array<int, 1024> kept{};
  kept[static_cast<std::size_t>(n)] = n;
  co_await yield();
  co_return kept[static_cast<std::size_t>(n)];
}

task<> leaf(std::atomic<int>& all) {
  ++all;
  co_return;
}

/// As many leaves, each forked while all that follows runs.
task<> forks(int n, std::atomic<int>& all) {
  if (n > 0) co_await when_all(forks(n - 1, all), leaf(all));
}

/// A recursion of several megabytes.
task<int> depth(int levels) {
  std::array<int, 100> kept{};
  kept.fill(1);
  if (levels == 0) co_return 0;
  const int below = co_await depth(levels - 1);
  co_return below + kept[static_cast<std::size_t>(below) % kept.size()];
}

/// Holds the pages that frames could be put into without an allocation.
class every_unused_page {
public:
  every_unused_page() {
    while (store_.unused_bytes() != 0) pages_.push_back(store_.take_page());
  }
  ~every_unused_page() {
    for (detail::frame_page* const page : pages_) store_.give_page(*page);
  }
  every_unused_page(const every_unused_page&) = delete;
  every_unused_page& operator=(const every_unused_page&) = delete;

private:
  detail::frame_store& store_ = detail::frame_store::instance();
  std::vector<detail::frame_page*> pages_;
};

/// Calls `make()` with the first allocation failing, the second, ... until none does. Says how
/// often it failed; each time with bad_alloc.
template <class Make>
int failures_until_made(Make make, tests::whose allocations = tests::whose::this_thread) {
  for (int nth = 1;; ++nth) {
    bool thrown = false;
    bool hit = false;
    {
      const failing_new no_luck(nth, allocations);
      try {
        make();
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      hit = no_luck.failed();
    }
    CHECK(thrown == hit);
    if (!hit) return nth - 1;
  }
}

/// The same for an awaitable.
template <class Make>
task<int> failures_until_awaited(Make make) {
  for (int nth = 1;; ++nth) {
    bool thrown = false;
    bool hit = false;
    {
      const failing_new no_luck(nth, tests::whose::every_thread);
      try {
        co_await make();
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      hit = no_luck.failed();
    }
    CHECK(thrown == hit);
    if (!hit) co_return nth - 1;
  }
}

/// Runs `body()` beside a task that waits: whatever becomes of the body's calls, that one goes on.
template <class Body>
void beside_another(const run_options& options, Body body) {
  bool other_ended = false;
  run(options, [](Body& inner, bool& ended) -> task<> {
    event gate;
    auto both = [&](task_group& g) -> task<> {
      join_handle<void> other = g.spawn([&]() -> task<> {
        co_await gate.wait();
        ended = true;
      });
      co_await yield();
      co_await inner();
      gate.set();
      co_await other;
    };
    co_await with_task_group(both);
  }(body, other_ended));
  CHECK(other_ended);
}

}  // namespace

TEST_SUITE("allocation/bad_alloc" * doctest::skip(!tests::allocations_are_counted())) {
  TEST_CASE("a task that there is no memory for is not made") {
    const auto make = [] { (void)large(1); };
    CHECK(failures_until_made(make) == 1);
    on_both([&](const run_options& options) {
      beside_another(options, [&]() -> task<> {
        const int failures = failures_until_made(make);
        CHECK(failures == 1);
        co_return;
      });
    });
  }

  TEST_CASE("a spawn that there is no memory for starts nothing") {
    on_both([](const run_options& options) {
      beside_another(options, []() -> task<> {
        int ended = 0;
        auto body = [&](task_group& g) -> task<> {
          std::array<int, 1024> luggage{};  // its frame is too large for the cache
          luggage.back() = 1;
          const int failures = failures_until_made([&] {
            g.spawn(
                [](int& n, const std::array<int, 1024>& carried) -> task<> {
                  n += carried.back();
                  co_return;
                },
                std::ref(ended), luggage);
          });
          CHECK(failures >= 1);
          co_return;
        };
        co_await with_task_group(body);
        CHECK(ended == 1);
      });
    });
  }

  TEST_CASE(
      "when_all of a vector that there is no memory for gives bad_alloc, its tasks are gone") {
    on_both([](const run_options& options) {
      beside_another(options, []() -> task<> {
        const int failures = co_await failures_until_awaited([]() -> task<> {
          std::vector<task<int>> tasks;
          for (int i = 0; i < 4; ++i) tasks.push_back(large(i));
          const std::vector<int> values = co_await when_all(std::move(tasks));
          CHECK(values.back() == 3);
        });
        CHECK(failures >= 6);
      });
    });
  }

  TEST_CASE("children that have been made are run without memory") {
    on_both([](const run_options& options) {
      beside_another(options, []() -> task<> {
        constexpr int many = 2000;
        std::atomic<int> ran = 0;
        std::vector<task<>> tasks;
        for (int i = 0; i < many; ++i) tasks.push_back(leaf(ran));
        auto all = when_all(std::move(tasks));
        {
          const no_memory none;
          co_await std::move(all);
        }
        CHECK(ran == many);
      });
    });
  }

  TEST_CASE("forks that a full deque has neither room nor memory for are run all the same") {
    on_both([](const run_options& options) {
      int without_room = 0;
      for (int nth = 1;; ++nth) {
        std::atomic<int> leaves = 0;
        bool thrown = false;
        bool hit = false;
        run(options, [](int n, std::atomic<int>& all, bool& threw, bool& failed) -> task<> {
          const failing_new no_luck(n, tests::whose::every_thread);
          try {
            co_await forks(300, all);
          } catch (const std::bad_alloc&) {
            threw = true;  // there was no memory for a frame
          }
          failed = no_luck.failed();
        }(nth, leaves, thrown, hit));
        if (!thrown) CHECK(leaves == 300);
        if (hit && !thrown) ++without_room;
        if (!hit) break;
      }
      // On a pool thieves keep the deque from being full.
      if (options.workers == 1) CHECK(without_room >= 1);
    });
  }

  TEST_CASE("a page of frames that there is no memory for: frames lie elsewhere, or bad_alloc") {
    on_both([](const run_options& options) {
      constexpr int levels = 8000;
      int failures = 0;
      auto descend = [&](int nth) -> task<bool> {
        const every_unused_page held;
        int reached = 0;
        bool thrown = false;
        bool hit = false;
        {
          const failing_new no_luck(nth, tests::whose::every_thread);
          try {
            reached = co_await depth(levels);
          } catch (const std::bad_alloc&) {
            thrown = true;
          }
          hit = no_luck.failed();
        }
        CHECK(thrown != (reached == levels));
        if (thrown) CHECK(hit);
        co_return hit;
      };
      auto main = [&]() -> task<> {
        for (int nth = 1; nth <= 32; ++nth) {
          const bool hit = co_await descend(nth);
          if (!hit) break;
          ++failures;
          const int reached = co_await depth(levels);  // with memory again
          CHECK(reached == levels);
        }
      };
      run(options, main());
      CHECK(failures >= 3);
    });
  }

  TEST_CASE("a task group fails with bad_alloc, after its children have ended") {
    on_both([](const run_options& options) {
      beside_another(options, []() -> task<> {
        const int failures = co_await failures_until_awaited([]() -> task<> {
          auto body = [](task_group& g) -> task<> {
            join_handle<int> one = g.spawn(large, 1);
            join_handle<int> two = g.spawn(large, 2);
            const int first = co_await one;
            const int second = co_await two;
            CHECK(first + second == 3);
          };
          co_await with_task_group(body);
        });
        CHECK(failures >= 2);
      });
    });
  }

  TEST_CASE("a channel that there is no memory for is not made") {
    CHECK(failures_until_made([] { (void)channel<int>(8); }) == 2);
  }

  TEST_CASE("a function that there is no memory to post is not called") {
    std::array<int, 1024> luggage{};
    on_both([&](const run_options& options) {
      std::atomic<int> calls = 0;
      const auto post_to = [&](auto& scheduler) {
        CHECK(failures_until_made(
                  [&] { scheduler.post([&calls, luggage] { calls += luggage[0] + 1; }); }) == 1);
        event called;
        scheduler.post([&called] { called.set(); });
        scheduler.run([](event& e) -> task<> { co_await e.wait(); }(called));
      };
      if (options.workers == 1) {
        event_loop loop(options);
        post_to(loop);
      } else {
        thread_pool pool(options);
        post_to(pool);
      }
      CHECK(calls == 1);
    });
  }

  TEST_CASE("a run that there is no memory for starts nothing") {
    on_both([](const run_options& options) {
      int ran = 0;
      const auto once = [&] {
        run(options, [](int& n) -> task<> {
          ++n;
          co_return;
        }(ran));
      };
      // A worker may do without the one that fails, such as a page of frames: then it runs.
      int failures = 0;
      int made = 0;
      for (bool hit = true; hit;) {
        const failing_new no_luck(failures + 1, tests::whose::every_thread);
        try {
          once();
          ++made;
        } catch (const std::bad_alloc&) {}
        hit = no_luck.failed();
        failures += hit ? 1 : 0;
        CHECK(ran == made);
      }
      CHECK(failures >= 3);
    });
  }

  TEST_CASE("an entry that epoll has no memory for is taken when another one has completed") {
    const tests::fd_pair pair = tests::unix_pair();
    std::array<char, 1024> bytes{};
    const std::unique_ptr<kernel_queue> queue = epoll_kernel().open_queue({});
    io_uring& memory = queue->memory();
    const auto receive = [&](char& byte) {
      io_uring_prep_recv(io_uring_get_sqe(&memory), pair.near, &byte, 1, 0);
      io_uring_smp_store_release(memory.sq.ktail, memory.sq.sqe_tail);
      return queue->enter(1, false, INT64_MAX);
    };
    CHECK(receive(bytes[0]) == 1);
    const no_memory from_now_on;
    std::size_t started = 1;
    while (started < bytes.size() && receive(bytes[started]) == 1) ++started;
    REQUIRE(started < bytes.size());
    CHECK(queue->enter(1, true, INT64_MAX) == -ENOMEM);
    tests::put(pair.far, "x");
    for (int i = 0; i < 3 && io_uring_sq_ready(&memory) != 0; ++i) queue->enter(1, true, INT64_MAX);
    CHECK(io_uring_sq_ready(&memory) == 0);
    CHECK(io_uring_cq_ready(&memory) == 1);
  }

  TEST_CASE("a trip to another scheduler that there is no memory for is not begun") {
    on_both([](const run_options& options) {
      thread_pool there({.workers = 2});
      beside_another(options, [&]() -> task<> {
        const int failures = co_await failures_until_awaited([&]() -> task<> {
          const int n = co_await on(there, large(3));
          CHECK(n == 3);
        });
        CHECK(failures >= 1);
      });
    });
  }
}

}  // namespace bad_alloc_test

// SPDX-License-Identifier: MIT
#include "weft/io/helper_pool.hpp"

#include "support/forwarding_kernel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

namespace helper_pool_test {

using weft::detail::helper_job;
using weft::detail::helper_pool;

namespace {

// The real kernel, but threads can run out.
class scarce_kernel final : public weft::tests::forwarding_kernel {
public:
  explicit scarce_kernel(int threads) : threads_(threads) {}

  std::unique_ptr<weft::helper_thread> start_helper(void (*body)(void*), void* argument) override {
    if (threads_-- <= 0) throw std::system_error(EAGAIN, std::system_category());
    ++started;
    return forwarding_kernel::start_helper(body, argument);
  }

  int started = 0;

private:
  int threads_;
};

struct counted_job : helper_job {
  counted_job() : helper_job([](helper_job& j) noexcept { static_cast<counted_job&>(j).go(); }) {}
  void go() {
    while (!gate->load()) std::this_thread::yield();
    thread = std::this_thread::get_id();
    done->fetch_add(1);
  }
  std::atomic<bool>* gate = nullptr;
  std::atomic<int>* done = nullptr;
  std::thread::id thread;
};

template <class Condition>
void wait_until(Condition c) {
  while (!c()) std::this_thread::yield();
}

}  // namespace

TEST_SUITE("io/helper_pool") {
  TEST_CASE("helpers start on demand, at most so many, and the rest waits in line") {
    scarce_kernel k(100);
    std::atomic<bool> gate = false;
    std::atomic<int> done = 0;
    std::vector<counted_job> jobs(20);
    {
      helper_pool pool(k, 3);
      CHECK(k.started == 0);
      for (counted_job& j : jobs) {
        j.gate = &gate;
        j.done = &done;
        CHECK(pool.submit(j) == 0);
      }
      CHECK(k.started == 3);
      CHECK(pool.outstanding() == 20);
      gate = true;
      wait_until([&] { return pool.outstanding() == 0; });
      CHECK(done == 20);
    }
    std::set<std::thread::id> threads;
    for (const counted_job& j : jobs) threads.insert(j.thread);
    CHECK(threads.size() <= 3);
  }

  TEST_CASE("an idle helper is used again") {
    scarce_kernel k(100);
    helper_pool pool(k, 8);
    std::atomic<bool> gate = true;
    std::atomic<int> done = 0;
    for (int i = 1; i <= 50; ++i) {
      counted_job j;
      j.gate = &gate;
      j.done = &done;
      CHECK(pool.submit(j) == 0);
      wait_until([&] { return pool.outstanding() == 0; });
      // The helper says that it is idle a moment after its job is counted as done.
      CHECK(done == i);
    }
    CHECK(k.started <= 8);
  }

  TEST_CASE("a queued job can be cancelled, a running one cannot") {
    helper_pool pool(weft::system_kernel(), 1);
    std::atomic<bool> gate = false;
    std::atomic<int> done = 0;
    std::vector<counted_job> jobs(4);
    for (counted_job& j : jobs) {
      j.gate = &gate;
      j.done = &done;
      CHECK(pool.submit(j) == 0);
    }
    CHECK_FALSE(pool.cancel(jobs[0]));
    CHECK(pool.cancel(jobs[2]));
    CHECK_FALSE(pool.cancel(jobs[2]));
    CHECK(pool.cancel(jobs[3]));
    gate = true;
    wait_until([&] { return pool.outstanding() == 0; });
    CHECK(done == 2);
    CHECK_FALSE(pool.cancel(jobs[1]));
  }

  TEST_CASE("without any thread a job is refused, with one it waits for that") {
    std::atomic<bool> gate = false;
    std::atomic<int> done = 0;
    counted_job first, second;
    for (counted_job* j : {&first, &second}) {
      j->gate = &gate;
      j->done = &done;
    }
    scarce_kernel none(0);
    helper_pool refusing(none, 4);
    CHECK(refusing.submit(first) == EAGAIN);
    CHECK(refusing.outstanding() == 0);

    scarce_kernel one(1);
    helper_pool pool(one, 4);
    CHECK(pool.submit(first) == 0);
    CHECK(pool.submit(second) == 0);
    gate = true;
    wait_until([&] { return pool.outstanding() == 0; });
    CHECK(done == 2);
    CHECK(first.thread == second.thread);
  }

  TEST_CASE("a pool that ends waits for what runs") {
    std::atomic<bool> gate = false;
    std::atomic<int> done = 0;
    counted_job job;
    job.gate = &gate;
    job.done = &done;
    {
      helper_pool pool(weft::system_kernel(), 2);
      CHECK(pool.submit(job) == 0);
      gate = true;
    }
    CHECK(done == 1);
  }
}

}  // namespace helper_pool_test

// SPDX-License-Identifier: MIT
#include "weft/io/ring.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/ring_operations.hpp"
#include "support/test_kernel.hpp"
#include "support/watched_kernel.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/event_loop.hpp"
#include "weft/sched/work_guard.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

namespace ring_test {

using namespace weft;
using namespace std::chrono_literals;
using weft::tests::enter_answer;
using weft::tests::enter_call;
using weft::tests::nop;
using weft::tests::nothing_left_behind;
using weft::tests::poll_operation;
using weft::tests::test_kernel;
using weft::tests::unknown_operation;
using weft::tests::watched_kernel;

namespace {

constexpr queue_options smallest{.entries = 1, .completions = 2};

struct nop_counts {
  std::atomic<int> succeeded{0};
  std::atomic<int> failed{0};
};

task<> one_nop(nop_counts& counts) {
  nop op;
  const int res = co_await op;
  ++(res == 0 ? counts.succeeded : counts.failed);
}

task<> nops_at_once(std::size_t count, nop_counts& counts) {
  auto body = [&](task_group& group) -> task<> {
    for (std::size_t i = 0; i < count; ++i) (void)group.spawn(one_nop, std::ref(counts));
    co_return;
  };
  co_await with_task_group(body);
}

// Runs `count` operations at once on either kernel while `fault` answers its enters.
template <class Kernel>
void check_nops(int count, queue_options queue, unsigned workers, tests::enter_fault fault = {}) {
  const nothing_left_behind guard;
  Kernel k;
  k.on_enter = std::move(fault);
  nop_counts counts;
  run({.workers = workers, .kernel = &k, .queue = queue},
      nops_at_once(static_cast<std::size_t>(count), counts));
  CHECK(counts.succeeded == count);
  CHECK(counts.failed == 0);
}

// How a child of a group that is cancelled ended.
struct ending {
  int resumes = 0;
  int value = -1;
  std::error_code code{};
  std::int64_t at_ns = 0;
};

task<> await_nop(std::uint64_t tag, ending& end) {
  auto op = as_result(nop(tag));
  const result<int> r = co_await op;
  ++end.resumes;
  if (r)
    end.value = *r;
  else
    end.code = r.error();
  end.at_ns = current_kernel().now();
}

// Tag of an operation that a test kernel holds.
constexpr std::uint64_t held = 7;

test_kernel::entry_plan hold_tagged(const io_uring_sqe& entry) {
  if (entry.opcode == IORING_OP_NOP && entry.off == held) return {.delay_ns = test_kernel::never};
  return {};
}

bool was_cancelled(const ending& end) { return end.code == std::errc::operation_canceled; }

}  // namespace

TEST_SUITE("io/ring") {
  TEST_CASE("every operation completes exactly once through a queue of one or two entries") {
    for (const unsigned entries : {1u, 2u}) {
      CAPTURE(entries);
      check_nops<test_kernel>(10'000, {.entries = entries, .completions = 4}, 1);
      check_nops<watched_kernel>(10'000, {.entries = entries, .completions = 4}, 1);
    }
    check_nops<test_kernel>(10'000, {.entries = 2, .completions = 4}, 2);
    check_nops<watched_kernel>(10'000, {.entries = 2, .completions = 4}, 2);
  }

  TEST_CASE("an enter that fails at every k-th call loses and repeats nothing") {
    for (const int error : {EINTR, EAGAIN, ENOMEM, EBUSY, ETIME}) {
      for (const std::uint64_t k : {2u, 3u, 7u}) {
        CAPTURE(error);
        CAPTURE(k);
        const auto fault = [=](const enter_call& call) {
          return enter_answer{.error = call.number % k == 0 ? error : 0};
        };
        check_nops<test_kernel>(500, {.entries = 4, .completions = 8}, 1, fault);
        check_nops<watched_kernel>(500, {.entries = 4, .completions = 8}, 1, fault);
      }
    }
  }

  TEST_CASE("an enter that fails at any one call loses and repeats nothing") {
    for (const int error : {EINTR, EAGAIN, ENOMEM, EBUSY})
      for (std::uint64_t k = 1; k <= 24; ++k) {
        CAPTURE(error);
        CAPTURE(k);
        check_nops<test_kernel>(40, {.entries = 4, .completions = 8}, 1,
                                [=](const enter_call& call) {
                                  return enter_answer{.error = call.number == k ? error : 0};
                                });
      }
  }

  TEST_CASE("entries that a short submit left are handed over once") {
    const auto fault = [](const enter_call& call) {
      return enter_answer{.taken_max = static_cast<unsigned>(call.number % 3)};
    };
    for (const unsigned entries : {1u, 8u}) {
      check_nops<test_kernel>(2000, {.entries = entries, .completions = 8}, 1, fault);
      check_nops<watched_kernel>(2000, {.entries = entries, .completions = 8}, 1, fault);
    }
  }

  TEST_CASE("completions that find no room arrive") {
    const queue_options tiny{.entries = 2, .completions = 4};
    nop_counts counts;
    test_kernel made;
    run({.kernel = &made, .queue = tiny}, nops_at_once(10'000, counts));
    CHECK(made.overflows > 0);
    watched_kernel real;
    run({.kernel = &real, .queue = tiny}, nops_at_once(10'000, counts));
    CHECK(real.overflows > 0);
    CHECK(counts.succeeded == 20'000);
  }

  TEST_CASE("an enter that says that completions are lost ends the program with a message") {
    const auto said_on = [](auto make_kernel, int error, unsigned workers) {
      return tests::dying_words([&] {
        auto k = make_kernel();
        k->on_enter = [error](const enter_call& call) {
          return enter_answer{.error = call.number == 3 ? error : 0};
        };
        nop_counts counts;
        run({.workers = workers, .kernel = k.get(), .queue = {.entries = 4, .completions = 8}},
            nops_at_once(100, counts));
      });
    };
    const auto made = [] { return std::make_unique<test_kernel>(); };
    const auto real = [] { return std::make_unique<watched_kernel>(); };
    const std::string lost = "io_uring lost completions because the kernel was out of memory";
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      CHECK(said_on(made, EBADR, workers).find(lost) != std::string::npos);
      CHECK(said_on(real, EBADR, workers).find(lost) != std::string::npos);
    }
    // So does every other error that says nothing of when to try again.
    CHECK(said_on(real, EBADF, 1).find("io_uring_enter failed: Bad file") != std::string::npos);
  }

  TEST_CASE("completions that find no room arrive while a task keeps the loop busy") {
    const auto on = [](auto& k) {
      nop_counts counts;
      int yields = 0;
      auto spin = [&]() -> task<> {
        for (; counts.succeeded < 20 && yields < 10'000; ++yields) co_await yield();
      };
      auto body = [&](task_group& group) -> task<> {
        for (int i = 0; i < 20; ++i) (void)group.spawn(one_nop, std::ref(counts));
        (void)group.spawn(spin);
        co_return;
      };
      run({.kernel = &k, .queue = {.entries = 8, .completions = 8}}, with_task_group(body));
      CHECK(k.overflows > 0);
      CHECK(yields < 1000);
    };
    test_kernel made;
    on(made);
    watched_kernel real;
    on(real);
  }

  TEST_CASE("an invalid entry leaves its neighbours in the batch alone") {
    const auto on = [](kernel& k) {
      nop_counts counts;
      std::error_code code;
      auto invalid = [&code]() -> task<> {
        auto op = as_result(unknown_operation());
        const result<int> r = co_await op;
        if (!r) code = r.error();
      };
      auto body = [&](task_group& group) -> task<> {
        for (int i = 0; i < 20; ++i) {
          if (i == 10) (void)group.spawn(invalid);
          (void)group.spawn(one_nop, std::ref(counts));
        }
        co_return;
      };
      run({.kernel = &k}, with_task_group(body));
      CHECK(counts.succeeded == 20);
      CHECK(code == std::errc::invalid_argument);
    };
    test_kernel made;
    on(made);
    watched_kernel real;
    on(real);
  }

  TEST_CASE("a turn of the loop enters the kernel once, however many operations it submits") {
    const auto on = [](auto& k) {
      auto child = []() -> task<> {
        for (int i = 0; i < 100; ++i) {
          nop op;
          co_await op;
        }
      };
      auto body = [&](task_group& group) -> task<> {
        group.spawn_n(50, child);
        co_return;
      };
      run({.kernel = &k}, with_task_group(body));
      CHECK(k.enters >= 100);
      CHECK(k.enters <= 104);
    };
    test_kernel made;
    on(made);
    watched_kernel real;
    on(real);
  }

  TEST_CASE("a turn that does not wait and submits nothing makes no system call") {
    watched_kernel k;
    auto spin = []() -> task<> {
      for (int i = 0; i < 10'000; ++i) co_await yield();
    };
    run({.kernel = &k}, spin());
    CHECK(k.enters <= 1);
  }

  TEST_CASE("a timer that is due keeps the loop from sleeping") {
    test_kernel k;
    auto child = []() -> task<> { co_await sleep_for(0ns); };
    auto body = [&](task_group& group) -> task<> {
      group.spawn_n(1000, child);
      co_return;
    };
    run({.kernel = &k}, with_task_group(body));
    CHECK(k.sleeps == 0);
    CHECK(k.now() == test_kernel::first_instant);
  }

  TEST_CASE("a thousand operations are cancelled through a queue of one entry") {
    for (const bool failing : {false, true}) {
      CAPTURE(failing);
      test_kernel k;
      k.on_entry = hold_tagged;
      if (failing)
        k.on_enter = [](const enter_call& call) {
          return enter_answer{.error = call.number % 2 == 0 ? EAGAIN : 0};
        };
      std::vector<ending> ends(1000);
      auto body = [&](task_group& group) -> task<> {
        for (ending& end : ends) (void)group.spawn(await_nop, held, std::ref(end));
        co_await sleep_for(1s);
        group.cancel();
      };
      run({.kernel = &k, .queue = smallest}, with_task_group(body));
      CHECK(std::all_of(ends.begin(), ends.end(), was_cancelled));
      CHECK(k.now() == test_kernel::first_instant + 1'000'000'000);
      CHECK(k.cancels == 1000);
    }
  }

  TEST_CASE("the real kernel cancels a thousand polls through a queue of two entries") {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    int ended = 0;
    auto child = [&]() -> task<> {
      auto op = as_result(poll_operation(fd, POLLIN));
      const result<int> r = co_await op;
      if (!r && r.error() == std::errc::operation_canceled) ++ended;
    };
    auto body = [&](task_group& group) -> task<> {
      group.spawn_n(1000, child);
      co_await sleep_for(1ms);
      group.cancel();
    };
    run({.queue = {.entries = 2, .completions = 4}}, with_task_group(body));
    ::close(fd);
    CHECK(ended == 1000);
  }

  TEST_CASE("the loop does not sleep while a cancel waits for an entry") {
    test_kernel k;
    k.on_entry = [](const io_uring_sqe& entry) -> test_kernel::entry_plan {
      if (entry.opcode == IORING_OP_NOP) return {.delay_ns = 3'600'000'000'000};
      return {};
    };
    // The first operation does not hear of its cancel, and neither does anybody else.
    k.on_cancel = [](const io_uring_sqe& target) -> test_kernel::cancel_plan {
      if (target.off == 1) return {.result = -EALREADY, .delay_ns = 3'600'000'000'000};
      return {.target_result = -ECANCELED};
    };
    int refusals = 0;
    bool stopping = false;
    // The second cancel finds the queue full, once when it is made and once before the sleep.
    k.on_enter = [&](const enter_call& call) -> enter_answer {
      if (stopping && !call.wait && call.submissions == 1 && refusals < 2) {
        ++refusals;
        return {.error = EAGAIN};
      }
      return {};
    };
    ending first;
    ending second;
    auto body = [&](task_group& group) -> task<> {
      (void)group.spawn(await_nop, 1u, std::ref(first));
      (void)group.spawn(await_nop, 2u, std::ref(second));
      co_await sleep_for(1s);
      stopping = true;
      group.cancel();
    };
    run({.kernel = &k, .queue = smallest}, with_task_group(body));
    CHECK(refusals == 2);
    CHECK(first.value == 0);
    CHECK(was_cancelled(second));
    CHECK(second.at_ns == test_kernel::first_instant + 1'000'000'000);
  }

  TEST_CASE("each result of a cancelled operation is delivered once, whatever the cancel says") {
    struct outcome {
      int res;
      bool cancelled;
    };
    int cases = 0;
    for (const int cancel_result : {0, -ENOENT, -EALREADY})
      for (const outcome target : {outcome{5, false}, outcome{0, false}, outcome{-ECANCELED, true},
                                   outcome{-EINTR, true}, outcome{-EIO, false}})
        for (const bool target_first : {true, false})
          for (const std::int64_t cancel_late : {0, 2'000'000})
            for (const std::int64_t target_late : {0, 1'000'000}) {
              CAPTURE(cancel_result);
              CAPTURE(target.res);
              CAPTURE(target_first);
              CAPTURE(cancel_late);
              CAPTURE(target_late);
              const nothing_left_behind guard;
              test_kernel k;
              k.on_entry = hold_tagged;
              k.on_cancel = [&](const io_uring_sqe&) -> test_kernel::cancel_plan {
                return {.result = cancel_result,
                        .target_result = target.res,
                        .delay_ns = cancel_late,
                        .target_delay_ns = target_late,
                        .target_first = target_first};
              };
              ending end;
              auto body = [&](task_group& group) -> task<> {
                (void)group.spawn(await_nop, held, std::ref(end));
                co_await sleep_for(1ms);
                group.cancel();
              };
              auto main = [&]() -> task<> {
                co_await with_task_group(body);
                co_await sleep_for(5ms);  // past the cancel's own completion
              };
              run({.kernel = &k}, main());
              CHECK(end.resumes == 1);
              CHECK(was_cancelled(end) == target.cancelled);
              if (target.res >= 0)
                CHECK(end.value == target.res);
              else if (!target.cancelled)
                CHECK(end.code.value() == -target.res);
              ++cases;
            }
    CHECK(cases == 120);
  }

  TEST_CASE("a cancel that the kernel does not find leaves the operation to its end") {
    test_kernel k;
    k.on_entry = [](const io_uring_sqe& entry) -> test_kernel::entry_plan {
      if (entry.off == held) return {.delay_ns = 1'000'000'000, .result = 42};
      return {};
    };
    k.on_cancel = [](const io_uring_sqe&) -> test_kernel::cancel_plan {
      return {.result = -ENOENT};
    };
    ending end;
    auto body = [&](task_group& group) -> task<> {
      (void)group.spawn(await_nop, held, std::ref(end));
      co_await sleep_for(1ms);
      group.cancel();
    };
    run({.kernel = &k}, with_task_group(body));
    CHECK(end.value == 42);
    CHECK(end.at_ns == test_kernel::first_instant + 1'000'000'000);
  }

  TEST_CASE("a cancel that has met nothing is repeated, by an idle loop and by a busy one") {
    tests::on_both([](run_options options) {
      for (const bool busy : {false, true}) {
        // Beside a worker that is busy virtual time stands still, for one that sleeps until then.
        if (busy && options.workers != 1) continue;
        CAPTURE(busy);
        test_kernel k;
        k.on_entry = hold_tagged;
        int asked = 0;
        k.on_cancel = [&](const io_uring_sqe&) -> test_kernel::cancel_plan {
          if (++asked < 5) return {.result = -ENOENT};
          return {.target_result = -ECANCELED};
        };
        ending end;
        std::atomic<bool> over{false};
        auto body = [&](task_group& group) -> task<> {
          (void)group.spawn(await_nop, held, std::ref(end));
          co_await sleep_for(1ms);
          group.cancel();
        };
        auto cancelled = [&]() -> task<> {
          co_await with_task_group(body);
          over = true;
        };
        auto other = [&]() -> task<> {
          co_await sleep_for(1ms);
          while (busy && !over) co_await yield();
        };
        options.kernel = &k;
        run(options, [](task<> first, task<> second) -> task<> {
          co_await when_all(std::move(first), std::move(second));
        }(cancelled(), other()));
        CHECK(was_cancelled(end));
        CHECK(end.resumes == 1);
        CHECK(asked == 5);
      }
    });
  }

  TEST_CASE("a late cancel does not meet the next operation at the same address") {
    // The cancel is queued, its target completes, and the next operation is queued behind the
    // cancel.
    test_kernel k;
    alignas(nop) std::byte place[sizeof(nop)];
    bool hold_back = false;
    k.on_enter = [&](const enter_call&) -> enter_answer {
      if (!std::exchange(hold_back, false)) return {};
      k.let_time_pass(1ms);
      return {.taken_max = 0};
    };
    k.on_entry = [](const io_uring_sqe& entry) -> test_kernel::entry_plan {
      if (entry.off == 1) return {.delay_ns = 2'000'000, .result = 1};
      if (entry.off == 2) return {.delay_ns = 1'000'000, .result = 2};
      return {};
    };
    k.on_cancel = [](const io_uring_sqe& target) -> test_kernel::cancel_plan {
      CHECK(target.off == 1);
      return {.target_result = -ECANCELED};
    };
    int first = 0;
    int second = 0;
    auto child = [&]() -> task<> {
      nop& op = *::new (place) nop(1);
      first = co_await op;
    };
    auto body = [&](task_group& group) -> task<> {
      (void)group.spawn(child);
      co_await sleep_for(1ms);  // half of the time that the operation takes
      hold_back = true;
      group.cancel();
    };
    auto main = [&]() -> task<> {
      co_await with_task_group(body);
      nop& op = *::new (place) nop(2);
      second = co_await op;
    };
    run({.kernel = &k}, main());
    CHECK(first == 1);
    CHECK(second == 2);
    CHECK(k.cancels == 1);
  }

  TEST_CASE("an operation that is cancelled in the backlog never reaches the kernel") {
    test_kernel k;
    k.on_entry = hold_tagged;
    int refusals = 1000;
    k.on_enter = [&](const enter_call&) -> enter_answer {
      return {.error = refusals-- > 0 ? EAGAIN : 0};
    };
    std::vector<ending> ends(100);
    auto body = [&](task_group& group) -> task<> {
      for (ending& end : ends) (void)group.spawn(await_nop, held, std::ref(end));
      for (int i = 0; i < 10; ++i) co_await yield();
      group.cancel();
    };
    run({.kernel = &k, .queue = {.entries = 4, .completions = 8}}, with_task_group(body));
    CHECK(std::all_of(ends.begin(), ends.end(), was_cancelled));
    CHECK(k.entries == 8);  // four operations and their cancels
    CHECK(k.cancels == 4);
  }

  TEST_CASE("the loop does not fall asleep without its doorbell") {
    test_kernel k;
    k.polled_doorbell = true;
    k.on_entry = [](const io_uring_sqe& entry) -> test_kernel::entry_plan {
      if (entry.off == held) return {.delay_ns = 1'000'000'000};
      return {};
    };
    // The only entry is the operation's, and the kernel does not take it when the doorbell needs
    // it.
    k.on_enter = [](const enter_call& call) -> enter_answer {
      return {.error = call.number == 1 ? EAGAIN : 0};
    };
    ending end;
    run({.kernel = &k, .queue = smallest}, await_nop(held, end));
    CHECK(end.value == 0);
    CHECK(k.sleeps > 0);
    CHECK(k.deaf_sleeps == 0);
  }

  TEST_CASE("posts of other threads wake a sleeping loop") {
    static constexpr int posts = 100'000;
    const auto on = [](run_options options) {
      event_loop loop(options);
      int seen = 0;  // by the loop's thread alone
      event all;
      const auto send = [&] {
        for (int i = 0; i < posts / 2; ++i)
          loop.post([&] {
            if (++seen == posts) all.set();
          });
      };
      auto main = [&]() -> task<> {
        const work_guard posters;
        co_await all.wait();
      };
      std::thread first(send);
      std::thread second(send);
      loop.run(main());
      first.join();
      second.join();
      CHECK(seen == posts);
    };
    on({});
    test_kernel plain;
    on({.kernel = &plain});
    test_kernel polled;
    polled.polled_doorbell = true;
    on({.kernel = &polled});
    test_kernel rearmed;
    rearmed.polled_doorbell = rearmed.doorbell_polls_end = true;
    on({.kernel = &rearmed, .queue = smallest});
  }

  TEST_CASE("a post finds a loop that sleeps, each time") {
    static constexpr int rounds = 2000;
    const auto on = [](run_options options) {
      event_loop loop(options);
      std::atomic<int> seen{0};
      event done;
      auto main = [&]() -> task<> {
        const work_guard posts;
        co_await done.wait();
      };
      std::thread poster([&] {
        for (int i = 1; i <= rounds; ++i) {
          loop.post([&] {
            if (seen.fetch_add(1) + 1 == rounds) done.set();
          });
          while (seen.load() < i) std::this_thread::yield();
        }
      });
      loop.run(main());
      poster.join();
      CHECK(seen == rounds);
    };
    on({});
    test_kernel polled;
    polled.polled_doorbell = polled.doorbell_polls_end = true;
    on({.kernel = &polled});
  }

  TEST_CASE("signals end no sleep early") {
    struct alarms {
      alarms() {
        struct sigaction action{};
        action.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &action, &before);
        const itimerval each{.it_interval = {0, 1000}, .it_value = {0, 1000}};
        ::setitimer(ITIMER_REAL, &each, nullptr);
      }
      alarms(const alarms&) = delete;
      alarms& operator=(const alarms&) = delete;
      ~alarms() {
        const itimerval none{};
        ::setitimer(ITIMER_REAL, &none, nullptr);
        ::sigaction(SIGALRM, &before, nullptr);
      }
      struct sigaction before{};
    };
    watched_kernel k;
    int early = 0;
    auto sleeper = [&]() -> task<> {
      for (int i = 0; i < 20; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        co_await sleep_for(7ms);
        if (std::chrono::steady_clock::now() - begin < 7ms) ++early;
      }
    };
    {
      const alarms storm;
      run({.kernel = &k}, sleeper());
    }
    CHECK(early == 0);
    CHECK(k.interrupted > 0);
  }
}

}  // namespace ring_test

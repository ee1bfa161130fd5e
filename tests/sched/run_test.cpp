// SPDX-License-Identifier: MIT
#include "weft/sched/run.hpp"

#include "support/both_schedulers.hpp"
#include "support/counted.hpp"
#include "support/dying_words.hpp"
#include "support/long_tests.hpp"
#include "support/sanitizers.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

namespace run_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::counted;
using tests::in_child;
using tests::on_both;

namespace {

task<int> number(int n) { co_return n; }

// UBSan, which runs with it, takes the lack of a descriptor for its check of virtual calls for a
// bad pointer.
const bool sanitized = tests::with_address_sanitizer;

/// Makes io_uring_setup fail from here on, as a container's seccomp profile does.
bool forbid_io_uring(int error) noexcept {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the system call's number
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<__u32>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// Runs a task, and says on standard error what run threw. 0 when it threw a system_error.
int say_what_run_throws(const run_options& options) {
  try {
    (void)run(options, number(1));
  } catch (const std::system_error& e) {
    std::fprintf(stderr, "%s [%d]\n", e.what(), e.code().value());
    return 0;
  }
  return 1;
}

}  // namespace

TEST_SUITE("sched/run") {
  TEST_CASE("run gives the value, of whatever kind") {
    on_both([](const run_options& options) {
      CHECK(run(options, number(3)) == 3);
      CHECK(*run(options, []() -> task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(4);
      }()) == 4);
      const counted c = run(options, []() -> task<counted> { co_return counted(5); }());
      CHECK(c.number == 5);
      CHECK(counted::alive() == 1);
    });
    CHECK(run(number(6)) == 6);
  }

  TEST_CASE("run rethrows what escaped the main task") {
    on_both([](const run_options& options) {
      CHECK_THROWS_WITH_AS(run(options,
                               []() -> task<> {
                                 co_await yield();
                                 throw std::runtime_error("main");
                               }()),
                           "main", std::runtime_error);
    });
  }

  TEST_CASE("a cancel that escapes the main task is a system_error outside") {
    on_both([](const run_options& options) {
      std::error_code code;
      try {
        run(options, []() -> task<> {
          throw cancelled();
          co_return;
        }());
      } catch (const std::system_error& e) {
        code = e.code();
      }
      CHECK(code == std::errc::operation_canceled);
    });
  }

  TEST_CASE("run inside a task is refused, whatever it asks for") {
    on_both([](const run_options& options) {
      for (const unsigned inner : {1u, 2u}) {
        std::error_code code;
        run(options, [](unsigned workers, std::error_code& out) -> task<> {
          try {
            (void)run({.workers = workers}, number(1));
          } catch (const std::system_error& e) {
            out = e.code();
          }
          co_return;
        }(inner, code));
        CHECK(code == std::errc::resource_deadlock_would_occur);
      }
    });
  }

  TEST_CASE("what the main task was given is gone when run returns") {
    on_both([](const run_options& options) {
      run(options, [](counted) -> task<> { co_await yield(); }(counted(1)));
      CHECK(counted::alive() == 0);
      CHECK_THROWS(run(options, [](counted) -> task<> {
        throw std::runtime_error("out");
        co_return;
      }(counted(1))));
      CHECK(counted::alive() == 0);
    });
  }

  TEST_CASE("several loops and pools run at once, each its own tasks") {
    std::vector<std::thread> threads;
    std::atomic<int> sum = 0;
    for (unsigned i = 0; i < 6; ++i) {
      threads.emplace_back([&sum, i] {
        sum += run({.workers = 1 + i % 3}, []() -> task<int> {
          auto sleeper = [](int n) -> task<int> {
            co_await sleep_for(1ms);
            co_return n;
          };
          auto all = co_await when_all(sleeper(1), sleeper(2), sleeper(3));
          co_return std::get<0>(all) + std::get<1>(all) + std::get<2>(all);
        }());
      });
    }
    for (std::thread& t : threads) t.join();
    CHECK(sum == 36);
  }

  TEST_CASE("a loop can be started and ended again and again") {
    const int times = tests::repetitions(1000, 60'000);
    int sum = 0;
    for (int i = 0; i < times; ++i) {
      sum += run(number(1));
    }
    CHECK(sum == times);
  }

  TEST_CASE("a pool can be started and ended again and again") {
    const int times = tests::repetitions(300, 40'000);
    int sum = 0;
    for (int i = 0; i < times; ++i) {
      sum += run({.workers = 2}, number(1));
    }
    CHECK(sum == times);
  }

  TEST_CASE("as many workers as cores are available, and the affinity mask says how many") {
    const auto end = in_child([] {
      cpu_set_t all;
      if (sched_getaffinity(0, sizeof all, &all) != 0) return 10;
      cpu_set_t one;
      CPU_ZERO(&one);
      for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &all)) {
          CPU_SET(cpu, &one);
          break;
        }
      }
      if (sched_setaffinity(0, sizeof one, &one) != 0) return 11;
      if (available_cores() != 1) return 12;
      return run({.workers = 0}, number(5)) == 5 ? 0 : 13;
    });
    CHECK(end.exited_with(0));
    CHECK(available_cores() >= 1);
  }

  TEST_CASE("where io_uring alone is wanted and forbidden run says which call failed and why") {
    struct known {
      int error;
      const char* cause;
    };
    for (const known k : {known{EPERM, "seccomp"}, known{ENOSYS, "seccomp"},
                          known{ENOMEM, "RLIMIT_MEMLOCK"}, known{EINVAL, "too old"}}) {
      for (const unsigned workers : {1u, 2u}) {
        CAPTURE(workers);
        const auto end = in_child([k, workers] {
          const run_options options{.workers = workers, .kernel = &uring_kernel()};
          return forbid_io_uring(k.error) ? say_what_run_throws(options) : 2;
        });
        INFO(end.said);
        CHECK(end.exited_with(0));
        CHECK(end.said.find("io_uring_setup") != std::string::npos);
        CHECK(end.said.find(k.cause) != std::string::npos);
        CHECK(end.said.find('[' + std::to_string(k.error) + ']') != std::string::npos);
      }
    }
  }

  TEST_CASE("without descriptors to be had run names the limit" * doctest::skip(sanitized)) {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const auto end = in_child([workers] {
        const rlimit few{3, 3};
        if (setrlimit(RLIMIT_NOFILE, &few) != 0) return 2;
        return say_what_run_throws({.workers = workers});
      });
      INFO(end.said);
      CHECK(end.exited_with(0));
      CHECK(end.said.find(" failed") != std::string::npos);
      CHECK(end.said.find("RLIMIT_NOFILE") != std::string::npos);
      CHECK(end.said.find("[24]") != std::string::npos);
    }
  }

  TEST_CASE("a loop whose start failed runs its next task" * doctest::skip(sanitized)) {
    event_loop loop;
    const rlimit before = [] {
      rlimit r{};
      getrlimit(RLIMIT_NOFILE, &r);
      return r;
    }();
    const rlimit none{0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    std::error_code code;
    try {
      (void)loop.run(number(1));
    } catch (const std::system_error& e) {
      code = e.code();
    }
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(code == std::errc::too_many_files_open);
    CHECK(loop.run(number(2)) == 2);
  }

  TEST_CASE("a queue that no kernel can make is refused with what is wrong about it") {
    for (const unsigned workers : {1u, 2u}) {
      for (const queue_options queue :
           {queue_options{.entries = 0}, queue_options{.entries = 64, .completions = 63}}) {
        const tests::nothing_left_behind guard;
        std::string what;
        try {
          run({.workers = workers, .queue = queue}, []() -> task<> { co_return; }());
        } catch (const std::system_error& e) {
          CHECK(e.code() == std::errc::invalid_argument);
          what = e.what();
        }
        CHECK(what.find("completions") != what.npos);
      }
    }
  }
}

}  // namespace run_test

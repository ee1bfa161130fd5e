// SPDX-License-Identifier: MIT
#include "weft/io/signal_set.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/dying_words.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

namespace signal_set_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::catching;
using tests::caught;
using tests::child_end;
using tests::forwarding_kernel;
using tests::in_child;
using tests::on_both;
using tests::test_kernel;

namespace {

/// Knows how many waits have begun, and how many there are: a signal before would end the tests.
class counting_kernel final : public forwarding_kernel {
public:
  std::atomic<int> begun{0};
  std::atomic<int> waiting{0};
  int refuse_with = 0;

  int catch_signals(std::uint64_t set, signal_catch how) noexcept override {
    const int fd = refuse_with != 0 ? -refuse_with : forwarding_kernel::catch_signals(set, how);
    if (fd >= 0) {
      ++waiting;
      ++begun;
    }
    return fd;
  }
  int release_signals(int fd) noexcept override {
    const int came = forwarding_kernel::release_signals(fd);
    --waiting;
    return came;
  }
};

/// Raises signals when `begun` waits have begun.
template <class... Numbers>
task<> raise_after(counting_kernel& k, int begun, Numbers... numbers) {
  while (k.begun < begun) co_await yield();
  (std::raise(numbers), ...);
}

/// A wait, and beside it the one who sends what it waits for.
task<int> wait_beside(task<int> wait, task<> sender) {
  auto both = when_all(std::move(wait), std::move(sender));
  const auto done = co_await std::move(both);
  co_return std::get<0>(done);
}

/// Runs `body` in a forked child: by which signal it ends, 0 for none.
template <class Body>
int signal_that_ends(Body body) {
  const child_end end = in_child(body);
  return WIFSIGNALED(end.status) ? WTERMSIG(end.status) : 0;
}

/// Whether that is what a signal does.
bool does(int number, void (*handler)(int)) {
  struct sigaction now{};
  ::sigaction(number, nullptr, &now);
  return now.sa_handler == handler;
}

std::atomic<int> own_handler_calls = 0;
void own_handler(int) { ++own_handler_calls; }

/// Another action for a signal while it lives.
class with_action {
public:
  with_action(int number, void (*handler)(int)) : number_(number) {
    struct sigaction action{};
    action.sa_handler = handler;
    ::sigaction(number, &action, &before_);
  }
  with_action(const with_action&) = delete;
  with_action& operator=(const with_action&) = delete;
  ~with_action() { ::sigaction(number_, &before_, nullptr); }

private:
  int number_;
  struct sigaction before_{};
};

bool is_refused(int number) {
  try {
    (void)signal_set(number);
  } catch (const std::system_error& e) {
    return e.code() == std::errc::invalid_argument;
  }
  return false;
}

}  // namespace

TEST_SUITE("io/signal_set") {
  TEST_CASE("a set is a constant that knows its numbers") {
    static_assert(signal_set().empty());
    constexpr signal_set stop(SIGINT, SIGTERM);
    static_assert(stop.contains(SIGINT) && stop.contains(SIGTERM) && !stop.contains(SIGUSR1));
    static_assert(!stop.contains(0) && !stop.contains(-1) && !stop.contains(65));
    static_assert(signal_set(SIGTERM, SIGINT, SIGINT) == stop);
    CHECK(signal_set(SIGRTMAX).contains(64));
  }

  TEST_CASE("what is no signal or cannot be caught is refused") {
    for (const int number : {-1, 0, SIGKILL, SIGSTOP, 32, 33, 65}) {
      CAPTURE(number);
      CHECK(is_refused(number));
    }
  }

  TEST_CASE("a wait gives the number of the signal that came") {
    on_both([](run_options options) {
      counting_kernel k;
      options.kernel = &k;
      for (const int number : {SIGUSR1, SIGUSR2, SIGRTMAX}) {
        const int came = run(options, wait_beside(signal_set(SIGUSR1, SIGUSR2, SIGRTMAX).wait(),
                                                  raise_after(k, k.begun + 1, number)));
        CHECK(came == number);
      }
      CHECK(k.waiting == 0);
    });
  }

  TEST_CASE("a signal ends every wait that has begun, on all schedulers") {
    on_both([](run_options options) {
      counting_kernel k;
      options.kernel = &k;
      int elsewhere = 0;
      std::thread other([&] { elsewhere = run({.kernel = &k}, signal_set(SIGUSR1).wait()); });
      const auto wait_twice = [](counting_kernel& kernel) -> task<std::pair<int, int>> {
        auto all = when_all(signal_set(SIGUSR1).wait(), signal_set(SIGUSR2, SIGUSR1).wait(),
                            raise_after(kernel, 3, SIGUSR1));
        const auto done = co_await std::move(all);
        co_return std::pair(std::get<0>(done), std::get<1>(done));
      };
      const auto [first, second] = run(options, wait_twice(k));
      other.join();
      CHECK(first == SIGUSR1);
      CHECK(second == SIGUSR1);
      CHECK(elsewhere == SIGUSR1);
      CHECK(does(SIGUSR1, SIG_DFL));
      CHECK(does(SIGUSR2, SIG_DFL));
    });
  }

  TEST_CASE("a signal that meets a thread older than the runtime ends the wait") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    std::thread older([&] {
      char nothing = 0;
      [[maybe_unused]] const ssize_t n = ::read(ends[0], &nothing, 1);
    });
    on_both([&](run_options options) {
      counting_kernel k;
      options.kernel = &k;
      const auto send = [](counting_kernel& kernel, pthread_t thread) -> task<> {
        while (kernel.begun == 0) co_await yield();
        ::pthread_kill(thread, SIGUSR1);
      };
      const int came =
          run(options, wait_beside(signal_set(SIGUSR1).wait(), send(k, older.native_handle())));
      CHECK(came == SIGUSR1);
    });
    ::close(ends[1]);
    older.join();
    ::close(ends[0]);
  }

  TEST_CASE("a signal that is sent to the process ends a wait in a sleeping ring") {
    for (const unsigned workers : {1u, 2u}) {
      const child_end end = in_child([workers] {
        counting_kernel k;
        std::thread sender([&k] {
          while (k.begun == 0) std::this_thread::yield();
          ::kill(::getpid(), SIGTERM);
        });
        const int came =
            run({.workers = workers, .kernel = &k}, signal_set(SIGINT, SIGTERM).wait());
        sender.join();
        return came;
      });
      CHECK(end.exited_with(SIGTERM));
    }
  }

  TEST_CASE("a second signal that comes before the first was seen ends the program") {
    for (const int second : {SIGUSR1, SIGUSR2}) {
      CHECK(signal_that_ends([second] {
              counting_kernel k;
              (void)run({.kernel = &k}, wait_beside(signal_set(SIGUSR1, SIGUSR2).wait(),
                                                    raise_after(k, 1, SIGUSR1, second)));
              return 0;
            }) == second);
    }
  }

  TEST_CASE("a signal between two waits does what it did before") {
    const auto wait_and_raise_again = [] {
      counting_kernel k;
      run({.kernel = &k}, [](counting_kernel& kernel) -> task<> {
        for (const int begun : {1, 2}) {
          task<int> both =
              wait_beside(signal_set(SIGUSR1).wait(), raise_after(kernel, begun, SIGUSR1));
          const int came = co_await std::move(both);
          CHECK(came == SIGUSR1);
          if (begun == 1) std::raise(SIGUSR1);
        }
      }(k));
    };
    CHECK(signal_that_ends([&] {
            wait_and_raise_again();
            return 0;
          }) == SIGUSR1);
    const with_action own(SIGUSR1, &own_handler);
    own_handler_calls = 0;
    wait_and_raise_again();
    CHECK(own_handler_calls == 1);
  }

  TEST_CASE("the last wait that ends gives a signal its old action back") {
    const with_action own(SIGUSR1, &own_handler);
    const with_action ignored(SIGUSR2, SIG_IGN);
    on_both([](run_options options) {
      counting_kernel k;
      options.kernel = &k;
      run(options, [](counting_kernel& kernel) -> task<> {
        auto body = [&kernel](task_group& group) -> task<> {
          join_handle<int> first = group.spawn([] { return signal_set(SIGUSR1, SIGUSR2).wait(); });
          (void)group.spawn([] { return signal_set(SIGUSR2).wait(); });
          while (kernel.begun < 2) co_await yield();
          CHECK_FALSE(does(SIGUSR1, &own_handler));
          CHECK_FALSE(does(SIGUSR2, SIG_IGN));
          std::raise(SIGUSR1);
          const int came = co_await first;
          CHECK(came == SIGUSR1);
          CHECK(does(SIGUSR1, &own_handler));
          CHECK_FALSE(does(SIGUSR2, SIG_IGN));
          CHECK_FALSE(does(SIGUSR2, SIG_DFL));
          group.cancel();
        };
        co_await with_task_group(body);
        CHECK(does(SIGUSR2, SIG_IGN));
      }(k));
    });
  }

  TEST_CASE("a wait that is cancelled takes no signal and leaves nothing behind") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const caught c = co_await catching(with_timeout(1ms, signal_set(SIGUSR1).wait()));
        CHECK(c.was_timeout);
        CHECK(does(SIGUSR1, SIG_DFL));
        const caught empty = co_await catching(with_timeout(1ms, signal_set().wait()));
        CHECK(empty.was_timeout);
      }());
    });
  }

  TEST_CASE("a signal that comes while its wait is being cancelled is given all the same") {
    on_both([](run_options options) {
      test_kernel k;
      k.on_cancel = [&k](const io_uring_sqe&) -> test_kernel::cancel_plan {
        CHECK(k.world.send_signal(SIGUSR1) == 1);
        return {.target_result = -ECANCELED};
      };
      options.kernel = &k;
      const int came = run(options, []() -> task<int> {
        int number = 0;
        auto wait = [&number]() -> task<> { number = co_await signal_set(SIGUSR1).wait(); };
        auto body = [&wait](task_group& group) -> task<> {
          group.spawn(wait);
          co_await sleep_for(1ms);  // the clock goes on when it waits
          group.cancel();
        };
        co_await with_task_group(body);
        co_return number;
      }());
      CHECK(came == SIGUSR1);
    });
  }

  TEST_CASE("a wait that can have no descriptor says so") {
    on_both([](run_options options) {
      counting_kernel k;
      k.refuse_with = EMFILE;
      options.kernel = &k;
      const caught c = run(options, catching(signal_set(SIGUSR1).wait()));
      CHECK(c.code == std::errc::too_many_files_open);
      CHECK(c.what.find("signal_set::wait") != std::string::npos);
    });
  }

  TEST_CASE("a loop of waits sees each signal that comes during a wait") {
    on_both([](run_options options) {
      counting_kernel k;
      options.kernel = &k;
      constexpr int rounds = 2000;
      const auto wait_often = [](int count) -> task<int> {
        int seen = 0;
        for (int i = 0; i < count; ++i) {
          const int came = co_await signal_set(SIGUSR1).wait();
          if (came == SIGUSR1) ++seen;
        }
        co_return seen;
      };
      const auto raise_often = [](int count, counting_kernel& kernel) -> task<> {
        for (int i = 1; i <= count; ++i) {
          task<> next = raise_after(kernel, i, SIGUSR1);
          co_await std::move(next);
        }
      };
      CHECK(run(options, wait_beside(wait_often(rounds), raise_often(rounds, k))) == rounds);
      CHECK(does(SIGUSR1, SIG_DFL));
    });
  }

  TEST_CASE("a storm of signals from two threads breaks nothing") {
    // SIGURG is ignored by default: a second one ends nothing.
    on_both([](const run_options& options) {
      std::atomic<bool> enough = false;
      std::array<std::thread, 2> senders;
      for (std::thread& s : senders)
        s = std::thread([&] {
          for (int i = 0; i < 5'000 || !enough; ++i) std::raise(SIGURG);
        });
      const auto wait_often = [](std::atomic<bool>& done) -> task<> {
        for (int i = 0; i < 50; ++i) {
          const int came = co_await signal_set(SIGURG).wait();
          CHECK(came == SIGURG);
        }
        done = true;
      };
      run(options, wait_often(enough));
      for (std::thread& s : senders) s.join();
    });
    CHECK(does(SIGURG, SIG_DFL));
  }

  TEST_CASE("a storm of signals ends a program that does not see to the first") {
    CHECK(signal_that_ends([] {
            counting_kernel k;
            std::thread sender([&k] {
              while (k.begun == 0) std::this_thread::yield();
              // Until one ends it: while a thread does not come to run, many are pending as one.
              for (;;) ::kill(::getpid(), SIGUSR2);
            });
            (void)run({.kernel = &k}, signal_set(SIGUSR2).wait());
            sender.join();
            return 0;
          }) == SIGUSR2);
  }

  TEST_CASE("in a forked child signals do what they did before, and new waits see them") {
    counting_kernel k;
    const auto fork_and_raise = [](counting_kernel& kernel) -> task<> {
      const int ended_by = signal_that_ends([] {
        std::raise(SIGUSR1);
        return 0;
      });
      CHECK(ended_by == SIGUSR1);
      CHECK(kernel.waiting == 1);
      const child_end end = in_child([] {
        int wrong = 2;
        std::thread elsewhere([&wrong] {  // this one is a worker of the parent's
          counting_kernel own;
          const int seen = run({.kernel = &own}, wait_beside(signal_set(SIGUSR1).wait(),
                                                             raise_after(own, 1, SIGUSR1)));
          wrong = seen == SIGUSR1 && does(SIGUSR1, SIG_DFL) ? 0 : 1;
        });
        elsewhere.join();
        return wrong;
      });
      CHECK(end.exited_with(0));
      std::raise(SIGUSR1);
      co_return;
    };
    const int came =
        run({.kernel = &k}, wait_beside(signal_set(SIGUSR1).wait(), fork_and_raise(k)));
    CHECK(came == SIGUSR1);
  }
}

}  // namespace signal_set_test

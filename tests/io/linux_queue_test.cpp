// SPDX-License-Identifier: MIT
#include "weft/io/kernel/linux_queue.hpp"

#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/from_outside.hpp"
#include "support/io_uring_refusal.hpp"
#include "support/ring_operations.hpp"
#include "support/watched_kernel.hpp"
#include "weft/io/blocking.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace linux_queue_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::nothing_left_behind;
using tests::on_both;

namespace {

// What a call that stands for io_uring_setup was asked, and what it is to do: plain functions have
// no other way to know.
std::mutex lock;
std::vector<unsigned> flags_tried;
int refusal = 0;

void note(const io_uring_params& parameters) {
  const std::lock_guard guard(lock);
  flags_tried.push_back(parameters.flags);
}

int refuse_always(unsigned, io_uring*, io_uring_params* parameters) {
  note(*parameters);
  return -refusal;
}

int refuse_deferred_work(unsigned entries, io_uring* ring, io_uring_params* parameters) {
  note(*parameters);
  if ((parameters->flags & IORING_SETUP_DEFER_TASKRUN) != 0) return -EINVAL;
  return io_uring_queue_init_params(entries, ring, parameters);
}

int lack_features(unsigned entries, io_uring* ring, io_uring_params* parameters) {
  note(*parameters);
  const int res = io_uring_queue_init_params(entries, ring, parameters);
  ring->features &= ~static_cast<unsigned>(IORING_FEAT_EXT_ARG);
  return res;
}

/// The real kernel, but rings are set up by a call of the test's.
class other_kernel final : public tests::forwarding_kernel {
public:
  explicit other_kernel(detail::setup_call call) : call_(call) { flags_tried.clear(); }
  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return detail::open_linux_queue(*this, options, call_);
  }

private:
  detail::setup_call call_;
};

struct start_error {
  int code = 0;
  std::string what{};
};

start_error error_of_start(detail::setup_call call, int error) {
  const nothing_left_behind guard;
  other_kernel k(call);
  refusal = error;
  try {
    const auto queue = k.open_queue({});
  } catch (const std::system_error& e) {
    return {e.code().value(), e.what()};
  }
  return {};
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

task<std::string> send_and_receive() {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  auto both = co_await when_all(tcp_stream::connect(listener.local_endpoint()), listener.accept());
  tcp_stream client = std::get<0>(std::move(both));
  tcp_stream server = std::get<1>(std::move(both));
  co_await client.write_all("through an older ring");
  co_await client.shutdown();
  co_await sleep_for(1ms);
  std::string text(21, ' ');
  co_await server.read_exact(text);
  co_return text;
}

/// The real kernel, which knows on whose thread each queue was opened, and counts who else comes
/// before it is closed.
class owners_kernel final : public tests::forwarding_kernel {
public:
  std::atomic<int> enters{0};
  std::atomic<int> strangers{0};

  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return std::make_unique<queue>(*this, forwarding_kernel::open_queue(options));
  }

private:
  class queue final : public kernel_queue {
  public:
    queue(owners_kernel& k, std::unique_ptr<kernel_queue> real)
        : kernel_(k), real_(std::move(real)) {}

    io_uring& memory() noexcept override {
      look();
      return real_->memory();
    }
    int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override {
      look();
      ++kernel_.enters;
      return real_->enter(submissions, wait, deadline_ns);
    }
    void ring_doorbell() noexcept override { real_->ring_doorbell(); }
    int doorbell_fd() const noexcept override { return real_->doorbell_fd(); }

  private:
    void look() noexcept {
      if (std::this_thread::get_id() != owner_) ++kernel_.strangers;
    }

    owners_kernel& kernel_;
    const std::thread::id owner_ = std::this_thread::get_id();
    const std::unique_ptr<kernel_queue> real_;
  };
};

/// Accepts that are given up, on whatever worker the cancel comes from, between calls on other
/// threads.
task<> wait_and_wander(int rounds) {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  for (int i = 0; i < rounds; ++i) {
    auto first = when_any(listener.accept(), sleep_for(50us));
    (void)co_await std::move(first);
    auto call = [] {};
    co_await blocking(call);
    co_await yield();
  }
}

/// A child process that works until it is told that it is enough: exchanges on a connection, timers
/// and blocking calls, beside a wait that lasts all the time and workers that have nothing to do.
class stopped_process {
public:
  /// Beats are told as '.', one for each timer; '!' once the process has seen all that it is to
  /// see. Returns 0 when nothing was wrong.
  int work(unsigned workers, int told_by, int tells) {
    try {
      run({.workers = workers, .kernel = &kernel_}, everything(told_by, tells));
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      return 2;
    }
    return wrong_ ? 1 : 0;
  }

private:
  task<> everything(int told_by, int tells) {
    return [](task<> a, task<> b, task<> c, task<> d) -> task<> {
      co_await when_all(std::move(a), std::move(b), std::move(c), std::move(d));
    }(until_told(told_by), exchange(), nap(tells), call());
  }
  task<> until_told(int told_by) {
    tests::poll_operation readable(told_by, POLLIN);
    (void)co_await readable;
    over_ = true;
  }
  task<> echo(tcp_stream stream) {
    std::array<char, 4> bytes{};
    while (co_await stream.read(bytes) == bytes.size()) co_await stream.write_all(bytes);
  }
  task<> ask(tcp_stream stream) {
    for (std::uint32_t n = 0; !over_; ++n) {
      std::uint32_t answer = 0;
      co_await stream.write_all(std::as_bytes(std::span(&n, 1)));
      co_await stream.read_exact(std::as_writable_bytes(std::span(&answer, 1)));
      if (answer != n) wrong_ = true;
      ++exchanges_;
      if (n % 8 == 0) co_await sleep_for(1ms);
    }
    co_await stream.shutdown();
  }
  task<> exchange() {
    tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
    auto ends =
        co_await when_all(tcp_stream::connect(listener.local_endpoint()), listener.accept());
    co_await when_all(ask(std::get<0>(std::move(ends))), echo(std::get<1>(std::move(ends))));
  }
  task<> nap(int tells) {
    while (!over_) {
      const auto begin = std::chrono::steady_clock::now();
      co_await sleep_for(1ms);
      if (std::chrono::steady_clock::now() - begin < 1ms) wrong_ = true;
      const bool enough = kernel_.interrupted >= 20 && exchanges_ >= 100 && calls_ >= 10;
      if (::write(tells, enough ? "!" : ".", 1) != 1) wrong_ = true;
    }
  }
  task<> call() {
    for (int n = 0; !over_; ++n) {
      auto same = [](int k) { return k; };
      const int answer = co_await blocking(same, n);
      if (answer != n) wrong_ = true;
      ++calls_;
      co_await sleep_for(1ms);
    }
  }

  tests::watched_kernel kernel_;
  std::atomic<bool> over_{false};
  std::atomic<bool> wrong_{false};
  std::atomic<int> exchanges_{0};
  std::atomic<int> calls_{0};
};

/// Stops a child and lets it go on. False when it has ended.
bool stop_and_continue(pid_t child) {
  siginfo_t seen{};
  ::kill(child, SIGSTOP);
  if (::waitid(P_PID, static_cast<id_t>(child), &seen, WSTOPPED | WEXITED | WNOWAIT) != 0 ||
      seen.si_code != CLD_STOPPED)
    return false;
  ::kill(child, SIGCONT);
  return ::waitid(P_PID, static_cast<id_t>(child), &seen, WCONTINUED | WEXITED | WNOWAIT) == 0 &&
         seen.si_code == CLD_CONTINUED;
}

}  // namespace

TEST_SUITE("io/linux_queue") {
  TEST_CASE("a kernel that refuses the newest flags is asked for the older ones, and serves" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    on_both([](run_options options) {
      other_kernel k(&refuse_deferred_work);
      options.kernel = &k;
      CHECK(run(options, send_and_receive()) == "through an older ring");
      REQUIRE(flags_tried.size() == 2 * options.workers);
      unsigned deferred = 0;
      for (const unsigned flags : flags_tried) {
        if ((flags & IORING_SETUP_DEFER_TASKRUN) != 0)
          ++deferred;
        else
          CHECK((flags & IORING_SETUP_COOP_TASKRUN) != 0);
      }
      CHECK(deferred == options.workers);
    });
  }

  TEST_CASE("a kernel that refuses all flags is said to be too old") {
    const start_error e = error_of_start(&refuse_always, EINVAL);
    CHECK(flags_tried.size() == 2);
    CHECK(e.code == EINVAL);
    CHECK(contains(e.what, "io_uring_setup"));
    CHECK(contains(e.what, "Linux 5.19 is needed"));
  }

  TEST_CASE("a ring that lacks what weft needs is closed, and the kernel said to be too old" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    const start_error e = error_of_start(&lack_features, 0);
    CHECK(e.code == EINVAL);
    CHECK(contains(e.what, "Linux 5.19 is needed"));
  }

  TEST_CASE("any other refusal is final, and its message names the likely cause") {
    struct known {
      int error;
      const char* cause;
    };
    for (const known k :
         {known{ENOSYS, "this kernel has no io_uring"}, known{EPERM, "kernel.io_uring_disabled"},
          known{EACCES, "kernel.io_uring_disabled"}, known{ENOMEM, "RLIMIT_MEMLOCK"},
          known{EMFILE, "RLIMIT_NOFILE"}, known{ENFILE, "RLIMIT_NOFILE"},
          known{EIO, "refused a ring"}}) {
      CAPTURE(k.error);
      const start_error e = error_of_start(&refuse_always, k.error);
      CHECK(flags_tried.size() == 1);
      CHECK(e.code == k.error);
      CHECK(contains(e.what, "io_uring_setup"));
      CHECK(contains(e.what, k.cause));
    }
  }

  TEST_CASE("nobody but its owner touches a ring, whoever cancels, posts and wakes") {
    const auto on = [](run_options options) {
      const nothing_left_behind guard;
      owners_kernel k;
      options.kernel = &k;
      std::optional<stop_handle> stop;
      std::atomic<bool> enough{false};
      auto body = [&](task_group& group) -> task<> {
        stop = group.stop_handle();
        auto until_stopped = []() -> task<> {
          for (;;) co_await wait_and_wander(1);
        };
        for (int i = 0; i < 4; ++i) group.spawn(until_stopped);
        co_await wait_and_wander(20);
        enough = true;  // a plain thread ends the group
        (void)co_await as_result(sleep_for(1h));
      };
      std::thread stopper([&] {
        while (!enough) std::this_thread::yield();
        stop->cancel();
      });
      run(options, tests::from_outside(with_task_group(body)));
      stopper.join();
      CHECK(k.enters > 0);
      CHECK(k.strangers == 0);
    };
    for (const unsigned workers : {1u, 2u, 4u}) {
      CAPTURE(workers);
      on({.workers = workers});
    }
  }

  TEST_CASE("a ring that another thread enters ends the program with a message") {
    const std::string said = tests::dying_words([] {
      const auto queue = system_kernel().open_queue({});
      std::thread([&queue] { (void)queue->enter(0, false, INT64_MAX); }).join();
    });
    CHECK(contains(said, "not its owner"));
  }

  TEST_CASE("a process that is stopped and continued again and again goes on where it was") {
    for (const unsigned workers : {1u, 3u}) {
      CAPTURE(workers);
      const nothing_left_behind guard;
      std::array<int, 2> tell{};
      std::array<int, 2> told{};
      REQUIRE(::pipe(tell.data()) == 0);
      REQUIRE(::pipe(told.data()) == 0);
      const tests::running_child child =
          tests::start_child([&] { return stopped_process().work(workers, tell[0], told[1]); });
      ::close(tell[0]);
      ::close(told[1]);
      std::array<char, 4096> beats{};
      ssize_t n = 0;
      while ((n = ::read(told[0], beats.data(), beats.size())) > 0 &&
             std::string_view(beats.data(), static_cast<std::size_t>(n)).find('!') ==
                 std::string_view::npos &&
             stop_and_continue(child.id)) {}
      CHECK(n > 0);
      CHECK(::write(tell[1], "!", 1) == 1);
      const tests::child_end end = tests::end_of(child);
      CHECK(end.said == "");
      CHECK(end.exited_with(0));
      ::close(tell[1]);
      ::close(told[0]);
    }
  }
}

}  // namespace linux_queue_test

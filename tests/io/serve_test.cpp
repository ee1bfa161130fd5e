// SPDX-License-Identifier: MIT
#include "weft/io/serve.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/test_kernel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/when_all.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace serve_test {

using namespace weft;
using weft::tests::catching;
using weft::tests::caught;
using weft::tests::on_both;
using weft::tests::test_kernel;

namespace {

task<> echo(tcp_stream stream) {
  char buf[4096];
  while (auto n = co_await stream.read(buf)) co_await stream.write_all({buf, n});
}

task<std::string> ask(endpoint where, std::string text) {
  tcp_stream s = co_await tcp_stream::connect(where);
  co_await s.write_all(text);
  co_await s.shutdown();
  std::string answer;
  char buf[256];
  while (auto n = co_await s.read(buf)) answer.append(buf, n);
  co_return answer;
}

// Serves with `handler` while `client(where)` runs.
template <class Handler, class Client>
task<> with_server(Handler handler, Client client, serve_options options = {}) {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  const endpoint where = listener.local_endpoint();
  auto server = [&]() -> task<> { return serve(listener, handler, options); };
  auto body = [&](task_group& group) -> task<> {
    group.spawn(server);
    task<> running = client(where);
    co_await std::move(running);
    group.cancel();
  };
  task<> all = with_task_group(body);
  co_await std::move(all);
}

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// Runs `body` in a child process; its exit status, 100 after an exception. The child must not be a
// copy of a process with other threads, so no runtime may run.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 100;
    try {
      status = body();
    } catch (...) {}
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A kernel in the process whose first accepts fail, and when each was made.
class failing_accepts {
public:
  explicit failing_accepts(std::vector<int> errors) : errors_(std::move(errors)) {
    kernel.on_entry = [this](const io_uring_sqe& entry) -> test_kernel::entry_plan {
      if (entry.opcode != IORING_OP_ACCEPT) return {};
      made_at_.push_back(std::chrono::nanoseconds(kernel.now() - test_kernel::first_instant));
      if (made_at_.size() > errors_.size() || errors_[made_at_.size() - 1] == 0) return {};
      return {.result = -errors_[made_at_.size() - 1]};
    };
  }
  failing_accepts(const failing_accepts&) = delete;
  failing_accepts& operator=(const failing_accepts&) = delete;

  // When no scheduler runs. On a pool the run may be over before the last one of them is made, the
  // one behind the last connection.
  bool were_made_at(std::vector<std::chrono::nanoseconds> times, const run_options& on) const {
    if (on.workers != 1 && made_at_.size() + 1 == times.size()) times.pop_back();
    return made_at_ == times;
  }

  test_kernel kernel;

private:
  std::vector<int> errors_;  // 0: as usual
  std::vector<std::chrono::nanoseconds> made_at_;
};

std::vector<std::chrono::nanoseconds> milliseconds(std::initializer_list<int> counts) {
  std::vector<std::chrono::nanoseconds> times;
  for (const int n : counts) times.push_back(std::chrono::milliseconds(n));
  return times;
}

}  // namespace

TEST_SUITE("io/serve") {
  TEST_CASE("each connection has its own handler, and all run at once") {
    on_both([](const run_options& options) {
      run(options, with_server(echo, [](endpoint where) -> task<> {
            std::vector<task<std::string>> clients;
            for (int i = 0; i < 100; ++i) clients.push_back(ask(where, std::to_string(i)));
            const std::vector<std::string> answers = co_await when_all(std::move(clients));
            for (int i = 0; i < 100; ++i)
              CHECK(answers[static_cast<std::size_t>(i)] == std::to_string(i));
          }));
    });
  }

  TEST_CASE("a handler that fails ends its own connection only, and is reported") {
    on_both([](const run_options& options) {
      std::atomic<int> reported = 0;
      auto handler = [](tcp_stream stream) -> task<> {
        char buf[16];
        const std::size_t n = co_await stream.read(buf);
        if (std::string(buf, n) == "fail") throw std::runtime_error("as asked");
        co_await stream.write_all("fine");
      };
      auto client = [](endpoint where) -> task<> {
        for (int i = 0; i < 5; ++i) {
          const std::string bad = co_await ask(where, "fail");
          CHECK(bad == "");
          const std::string good = co_await ask(where, "work");
          CHECK(good == "fine");
        }
      };
      auto on_error = [&](const std::exception& e) {
        if (e.what() == std::string("as asked")) ++reported;
      };
      run(options, with_server(handler, client, {.on_error = on_error}));
      CHECK(reported == 5);
      run(options, with_server(handler, client));
    });
  }

  TEST_CASE("what a handler throws beside exceptions ends the server") {
    on_both([](const run_options& options) {
      auto handler = [](tcp_stream) -> task<> {
        throw 42;
        co_return;
      };
      auto client = [](endpoint where) -> task<> {
        const tcp_stream s = co_await tcp_stream::connect(where);
        co_await sleep_for(std::chrono::seconds(10));
      };
      bool ended = false;
      try {
        run(options, with_server(handler, client));
      } catch (int n) {
        ended = n == 42;
      }
      CHECK(ended);
    });
  }

  TEST_CASE("closing the listener ends the server with bad_file_descriptor") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        caught ended;
        auto server = [&]() -> task<> { ended = co_await catching(serve(listener, echo)); };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(server);
          const std::string answer = co_await ask(listener.local_endpoint(), "hello");
          CHECK(answer == "hello");
          co_await listener.close();
        };
        co_await with_task_group(body);
        CHECK(ended.code == std::errc::bad_file_descriptor);
      }());
    });
  }

  TEST_CASE("serve owns a listener that is given to it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        // On an address where no other program listens: the port is free again before it is asked.
        tcp_listener listener = tcp_listener::bind("127.0.0.9:0");
        const endpoint where = listener.local_endpoint();
        auto body = [&](task_group& group) -> task<> {
          group.spawn(serve(std::move(listener), echo));
          const std::string answer = co_await ask(where, "hello");
          CHECK(answer == "hello");
          group.cancel();
        };
        co_await with_task_group(body);
        const caught c = co_await catching(tcp_stream::connect(where));
        CHECK(c.code == std::errc::connection_refused);
      }());
    });
  }

  TEST_CASE("on a pool, connections run on every worker") {
    std::mutex lock;
    std::set<std::thread::id> threads;
    auto threads_seen = [&] {
      const std::lock_guard guard(lock);
      return threads.size();
    };
    auto busy = [&](tcp_stream stream) -> task<> {
      char buf[16];
      while (auto n = co_await stream.read(buf)) {
        {
          const std::lock_guard guard(lock);
          threads.insert(std::this_thread::get_id());
        }
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
        while (std::chrono::steady_clock::now() < until) {}
        co_await stream.write_all({buf, n});
      }
    };
    auto client = [&](endpoint where) -> task<> {
      // More than once where the machine has no processor to give the other worker for a while.
      const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      do {
        std::vector<task<std::string>> clients;
        for (int i = 0; i < 50; ++i) clients.push_back(ask(where, "x"));
        const std::vector<std::string> answers = co_await when_all(std::move(clients));
        for (const std::string& a : answers) CHECK(a == "x");
      } while (threads_seen() < 2 && std::chrono::steady_clock::now() < patience);
    };
    run({.workers = 2}, with_server(busy, client));
    CHECK(threads_seen() == 2);
  }

  TEST_CASE("accepting goes on at once after what happened to one connection") {
    on_both([](run_options options) {
      for (const int error : {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                              EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EINTR}) {
        CAPTURE(error);
        failing_accepts accepts({error, error, error});
        options.kernel = &accepts.kernel;
        std::atomic<int> reported = 0;
        auto on_error = [&](const std::exception&) { ++reported; };
        auto client = [](endpoint where) -> task<> {
          const std::string answer = co_await ask(where, "hello");
          CHECK(answer == "hello");
        };
        run(options, with_server(echo, client, {.on_error = on_error}));
        CHECK(reported == 0);
        CHECK(accepts.were_made_at(milliseconds({0, 0, 0, 0, 0}), options));
      }
    });
  }

  TEST_CASE("accepting pauses, longer each time in a row, when resources have run out") {
    on_both([](run_options options) {
      for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
        CAPTURE(error);
        std::vector<int> errors(9, error);
        errors.push_back(0);  // a connection: the next pause is a short one again
        errors.push_back(error);
        errors.push_back(error);
        failing_accepts accepts(errors);
        options.kernel = &accepts.kernel;
        std::atomic<int> reported = 0;
        std::atomic<int> expected = 0;
        auto on_error = [&](const std::exception& e) {
          ++reported;
          const auto* s = dynamic_cast<const std::system_error*>(&e);
          if (s != nullptr && s->code() == std::error_code(error, std::system_category()))
            ++expected;
        };
        auto client = [](endpoint where) -> task<> {
          const std::string first = co_await ask(where, "hello");
          CHECK(first == "hello");
          const std::string second = co_await ask(where, "again");
          CHECK(second == "again");
        };
        run(options, with_server(echo, client, {.on_error = on_error}));
        CHECK(reported == 11);
        CHECK(expected == 11);
        CHECK(accepts.were_made_at(
            milliseconds({0, 10, 30, 70, 150, 310, 630, 1270, 2270, 3270, 3270, 3280, 3300, 3300}),
            options));
      }
    });
  }

  TEST_CASE("accepting pauses when more than a hundred connections in a row fail") {
    on_both([](run_options options) {
      failing_accepts accepts(std::vector<int>(102, EPERM));
      options.kernel = &accepts.kernel;
      std::atomic<int> reported = 0;
      auto on_error = [&](const std::exception&) { ++reported; };
      auto client = [](endpoint where) -> task<> {
        const std::string answer = co_await ask(where, "hello");
        CHECK(answer == "hello");
      };
      run(options, with_server(echo, client, {.on_error = on_error}));
      CHECK(reported == 2);
      std::vector<std::chrono::nanoseconds> expected(101);  // at once
      for (const int ms : {10, 30, 30}) expected.push_back(std::chrono::milliseconds(ms));
      CHECK(accepts.were_made_at(expected, options));
    });
  }

  TEST_CASE("an error that no waiting mends ends the server, and its connections first") {
    on_both([](run_options options) {
      for (const int error : {EBADF, EINVAL, ENOTSOCK, EFAULT}) {
        CAPTURE(error);
        failing_accepts accepts({0, error});
        options.kernel = &accepts.kernel;
        caught ended;
        std::atomic<int> reported = 0;
        std::atomic<int> joined = 0;
        auto on_error = [&](const std::exception&) { ++reported; };
        auto wait_for_ever = [&](tcp_stream stream) -> task<> {
          struct leaving {
            std::atomic<int>* count;
            ~leaving() { ++*count; }
          };
          const leaving guard{&joined};
          char buf[1];
          co_await stream.read(buf);
        };
        auto main = [&]() -> task<> {
          tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
          const tcp_stream client = co_await tcp_stream::connect(listener.local_endpoint());
          task<> server = serve(listener, wait_for_ever, {.on_error = on_error});
          ended = co_await catching(std::move(server));
          CHECK(joined == 1);
        };
        run(options, main());
        CHECK(ended.code == std::error_code(error, std::system_category()));
        CHECK(ended.what.find("accept") != std::string::npos);
        CHECK(reported == 0);
        CHECK(accepts.were_made_at(milliseconds({0, 0}), options));
      }
    });
  }

  TEST_CASE("without descriptors the server pauses, and goes on when there are some again") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const int status = in_child([workers] {
        // All clients are connected before the descriptors are used up: the backlog keeps them.
        run_options options;
        options.workers = workers;
        std::atomic<int> pauses = 0;
        auto on_error = [&](const std::exception& e) {
          const auto* s = dynamic_cast<const std::system_error*>(&e);
          if (s != nullptr && s->code().value() == EMFILE) ++pauses;
        };
        return run(options, [](serve_options how, std::atomic<int>* paused) -> task<int> {
          tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
          const endpoint where = listener.local_endpoint();
          constexpr int count = 10;
          std::vector<tcp_stream> clients;
          for (int i = 0; i < count; ++i) {
            tcp_stream s = co_await tcp_stream::connect(where);
            clients.push_back(std::move(s));
          }
          std::vector<int> taken;
          rlimit few{.rlim_cur = 128, .rlim_max = 128};
          ::setrlimit(RLIMIT_NOFILE, &few);
          for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY)) >= 0;) taken.push_back(fd);
          int result = 1;
          auto measure = [&]() -> task<> {
            const double cpu = cpu_seconds();
            co_await sleep_for(std::chrono::milliseconds(500));
            const double used = cpu_seconds() - cpu;
            // Met, and waited out in growing pauses: 10, 20, 40, 80, 160, 320 ms.
            if (*paused < 2 || *paused > 10 || used > 0.1) co_return;
            for (const int fd : taken) ::close(fd);
            for (tcp_stream& c : clients) {
              char buf[5];
              co_await c.write_all("hello");
              co_await c.read_exact(buf);
            }
            result = 0;
          };
          auto server = [&]() -> task<> { return serve(listener, echo, how); };
          auto body = [&](task_group& group) -> task<> {
            group.spawn(server);
            co_await measure();
            group.cancel();
          };
          co_await with_task_group(body);
          co_return result;
        }(serve_options{.on_error = on_error}, &pauses));
      });
      CHECK(status == 0);
    }
  }
}

}  // namespace serve_test

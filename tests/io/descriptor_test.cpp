// SPDX-License-Identifier: MIT
#include "weft/io/descriptor.hpp"

#include "support/both_schedulers.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/temporary_directory.hpp"
#include "weft/io/file.hpp"
#include "weft/io/fs_directory.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace descriptor_test {

using namespace weft;
using namespace weft::tests;
using detail::descriptor;
using detail::descriptor_use;

namespace {

descriptor open_null() { return {system_kernel(), ::open("/dev/null", O_RDWR | O_CLOEXEC)}; }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// What a child that runs `body` writes to stderr before it aborts; empty when it does not abort.
template <class Body>
std::string last_words(Body body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], 2);
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buf[512];
  for (ssize_t n = 0; (n = ::read(ends[0], buf, sizeof buf)) > 0;)
    text.append(buf, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : std::string();
}

// Every open descriptor but the one that looks, and whether it is closed on exec.
std::map<int, bool> descriptors_now() {
  std::map<int, bool> all;
  DIR* const open = ::opendir("/proc/self/fd");
  if (open == nullptr) return all;
  while (const dirent* const entry = ::readdir(open)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == ::dirfd(open)) continue;
    all.emplace(fd, (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  ::closedir(open);
  return all;
}

// The real kernel, which looks at the descriptors of the process while a directory is read.
class looking_kernel final : public forwarding_kernel {
public:
  std::ptrdiff_t read_directory(int fd, void* buffer, std::size_t size) noexcept override {
    if (seen.empty()) {
      seen = descriptors_now();
      directory_seen = seen.contains(fd);
    }
    return forwarding_kernel::read_directory(fd, buffer, size);
  }

  std::map<int, bool> seen{};
  bool directory_seen = false;
};

}  // namespace

TEST_SUITE("io/descriptor") {
  TEST_CASE("one reader, one writer and any number of others may use it at once") {
    descriptor d = open_null();
    CHECK(d.try_begin(descriptor_use::read) == 0);
    CHECK(d.try_begin(descriptor_use::read) == EBUSY);
    CHECK(d.try_begin(descriptor_use::write) == 0);
    CHECK(d.try_begin(descriptor_use::write) == EBUSY);
    for (int i = 0; i < 100; ++i) CHECK(d.try_begin(descriptor_use::shared) == 0);
    CHECK_FALSE(d.end(descriptor_use::read));
    CHECK(d.try_begin(descriptor_use::read) == 0);
    for (int i = 0; i < 100; ++i) d.end(descriptor_use::shared);
    d.end(descriptor_use::read);
    d.end(descriptor_use::write);
  }

  TEST_CASE("the destructor closes, and what was moved from is closed") {
    const nothing_left_behind guard;
    int fd = -1;
    {
      descriptor d = open_null();
      REQUIRE(d.try_begin(descriptor_use::shared) == 0);
      fd = d.fd();
      d.end(descriptor_use::shared);
      descriptor other = std::move(d);
      CHECK_FALSE(d.is_open());
      CHECK(d.try_begin(descriptor_use::read) == EBADF);
      CHECK(other.is_open());
      CHECK(is_open(fd));
      other = descriptor();
      CHECK_FALSE(is_open(fd));
    }
  }

  TEST_CASE("to destroy or move it while an operation is in flight ends the program") {
    CHECK(last_words([] {
            descriptor d = open_null();
            (void)d.try_begin(descriptor_use::read);
          }).find("destroyed while an operation on it is in flight") != std::string::npos);
    CHECK(last_words([] {
            descriptor d = open_null();
            (void)d.try_begin(descriptor_use::shared);
            const descriptor other = std::move(d);
          }).find("moved while an operation on it is in flight") != std::string::npos);
  }

  TEST_CASE("close waits until nobody uses it, refuses newcomers, and happens once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (int round = 0; round < 200; ++round) {
          descriptor d = open_null();
          CHECK(d.try_begin(descriptor_use::read) == 0);
          CHECK(d.try_begin(descriptor_use::shared) == 0);
          const int fd = d.fd();
          std::atomic<bool> reading = true;
          std::atomic<bool> sharing = true;
          event closed;
          auto closer = [&]() -> task<> {
            co_await d.close(descriptor::kind::file);
            CHECK_FALSE(reading);
            CHECK_FALSE(sharing);
            CHECK_FALSE(is_open(fd));
            closed.set();
          };
          auto sharer = [&]() -> task<> {
            for (int i = 0; i < round % 4; ++i) co_await yield();
            sharing = false;
            d.end(descriptor_use::shared);
          };
          auto body = [&](task_group& group) -> task<> {
            group.spawn(closer);
            group.spawn(sharer);
            while (d.is_open()) co_await yield();
            CHECK(d.try_begin(descriptor_use::shared) == EBADF);
            co_await d.close(descriptor::kind::file);
            CHECK(is_open(fd));
            reading = false;
            CHECK(d.end(descriptor_use::read));
            co_await closed.wait();
          };
          co_await with_task_group(body);
        }
      }());
    });
  }

  TEST_CASE("a stop neither refuses nor interrupts close") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        descriptor d = open_null();
        CHECK(d.try_begin(descriptor_use::read) == 0);
        const int fd = d.fd();
        bool ended = false;
        auto closer = [&]() -> task<> {
          co_await d.close(descriptor::kind::file);
          ended = true;
        };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(closer);
          while (d.is_open()) co_await yield();
          group.cancel();
          for (int i = 0; i < 10; ++i) {
            try {
              co_await yield();
            } catch (const cancelled&) {}
          }
          CHECK(is_open(fd));
          d.end(descriptor_use::read);
        };
        co_await with_task_group(body);
        CHECK(ended);
        CHECK_FALSE(is_open(fd));
      }());
    });
  }

  TEST_CASE("whatever is open while tasks run is closed when a child calls exec") {
    on_both([](run_options options) {
      const temporary_directory dir;
      write_file(dir / "file", "text");
      const std::map<int, bool> before = descriptors_now();
      looking_kernel k;
      options.kernel = &k;
      run(options, [](std::filesystem::path path) -> task<> {
        thread_pool other({.workers = 2});
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        const tcp_listener v6 = tcp_listener::bind("[::1]:0", {.reuse_port = true});
        const tcp_stream client = co_await tcp_stream::connect(listener.local_endpoint());
        const tcp_stream server = co_await listener.accept();
        const file read = co_await file::open(path / "file");
        const file written =
            co_await file::open(path / "new", open_mode::write | open_mode::create);
        auto pass = [](const fs::directory_entry&) {};
        co_await fs::walk(path, pass);
      }(dir.path()));
      CHECK(k.directory_seen);
      for (const auto& [fd, ignored] : before) k.seen.erase(fd);
      // A ring and a doorbell for each worker here and there, two listeners, two ends of a
      // connection, two files, the directory.
      CHECK(k.seen.size() == 2 * options.workers + 2 * 2 + 2 + 2 + 2 + 1);
      for (const auto& [fd, closed_on_exec] : k.seen) {
        CAPTURE(fd);
        CHECK(closed_on_exec);
      }
    });
  }
}

}  // namespace descriptor_test

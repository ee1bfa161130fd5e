// SPDX-License-Identifier: MIT
#include "weft/io/descriptor.hpp"

#include "support/both_schedulers.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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
}

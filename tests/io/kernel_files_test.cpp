// SPDX-License-Identifier: MIT
// What operations on files, paths, pipes and counters do, on both kernels.

#include "support/descriptors.hpp"
#include "support/raw_queue.hpp"
#include "support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kernel_files_test {

using namespace weft;
using namespace weft::tests;

namespace {

using id = raw_queue::id;

constexpr std::uint64_t at_position = UINT64_MAX;

/// Writes to what nobody reads give EPIPE, and no signal.
class no_sigpipe {
public:
  no_sigpipe() { ::sigaction(SIGPIPE, &ignore_, &before_); }
  no_sigpipe(const no_sigpipe&) = delete;
  no_sigpipe& operator=(const no_sigpipe&) = delete;
  ~no_sigpipe() { ::sigaction(SIGPIPE, &before_, nullptr); }

private:
  static struct sigaction ignoring() {
    struct sigaction action{};
    action.sa_handler = SIG_IGN;
    return action;
  }
  struct sigaction ignore_ = ignoring();
  struct sigaction before_{};
};

owned_fd open_file(const std::filesystem::path& path, int flags) {
  owned_fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  REQUIRE(fd >= 0);
  return fd;
}

std::string_view first(const std::array<char, 64>& buffer, int count) {
  return {buffer.data(), static_cast<std::size_t>(count)};
}

void fill_pipe(int fd) {
  REQUIRE(::fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK) == 0);
  const std::string piece(4096, 'f');
  while (::write(fd, piece.data(), piece.size()) > 0) {}
  REQUIRE(::fcntl(fd, F_SETFL, O_WRONLY) == 0);
}

}  // namespace

TEST_SUITE("io/kernel_files") {
  TEST_CASE("a file is read and written at an offset, and its position stays") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const owned_fd fd = open_file(d / "f", O_RDWR | O_CREAT);
      std::array<char, 64> buffer{};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_write, fd, "hello, world", 12, 0) == 12);
      CHECK(q.run(io_uring_prep_write, fd, "W", 1, 7) == 1);
      CHECK(first(buffer, q.run(io_uring_prep_read, fd, buffer.data(), 5, 7)) == "World");
      CHECK(::lseek(fd, 0, SEEK_CUR) == 0);
      CHECK(q.run(io_uring_prep_read, fd, buffer.data(), 64, 10) == 2);
      CHECK(read_file(d / "f") == "hello, World");
    });
  }

  TEST_CASE("offset -1 is the file's position, which moves on") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const owned_fd fd = open_file(d / "f", O_RDWR | O_CREAT);
      std::array<char, 64> buffer{};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_write, fd, "hello", 5, at_position) == 5);
      CHECK(q.run(io_uring_prep_write, fd, ", world", 7, at_position) == 7);
      CHECK(::lseek(fd, 0, SEEK_CUR) == 12);
      REQUIRE(::lseek(fd, 3, SEEK_SET) == 3);
      CHECK(first(buffer, q.run(io_uring_prep_read, fd, buffer.data(), 4, at_position)) == "lo, ");
      CHECK(first(buffer, q.run(io_uring_prep_read, fd, buffer.data(), 64, at_position)) ==
            "world");
      CHECK(q.run(io_uring_prep_read, fd, buffer.data(), 64, at_position) == 0);
    });
  }

  TEST_CASE("a read past the end gives 0, a write past it makes the file longer") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const owned_fd fd = open_file(d / "f", O_RDWR | O_CREAT);
      std::array<char, 64> buffer{};
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_read, fd, buffer.data(), 64, 0) == 0);
      CHECK(q.run(io_uring_prep_read, fd, buffer.data(), 64, 1 << 20) == 0);
      CHECK(q.run(io_uring_prep_write, fd, "x", 1, 3) == 1);
      CHECK(read_file(d / "f") == std::string("\0\0\0x", 4));
    });
  }

  TEST_CASE("what is appended to a file goes to its end, whatever the offset") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      const owned_fd fd = open_file(d / "f", O_WRONLY | O_APPEND);
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_write, fd, "d", 1, 0) == 1);
      CHECK(q.run(io_uring_prep_write, fd, "e", 1, at_position) == 1);
      CHECK(read_file(d / "f") == "abcde");
    });
  }

  TEST_CASE("a read or write that a descriptor does not allow is an error") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      raw_queue q(k);
      const owned_fd reader = open_file(d / "f", O_RDONLY);
      const owned_fd writer = open_file(d / "f", O_WRONLY);
      const owned_fd directory = open_file(d.path(), O_RDONLY | O_DIRECTORY);
      owned_fd closed = event_counter();
      const int number = closed;
      closed.close();
      char byte = 0;
      CHECK(q.run(io_uring_prep_write, reader, "x", 1, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_read, writer, &byte, 1, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_read, number, &byte, 1, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_write, number, &byte, 1, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_fsync, number, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_read, directory, &byte, 1, 0) == -EISDIR);
      CHECK(q.run(io_uring_prep_read, directory, &byte, 1, at_position) == -EISDIR);
      CHECK(q.run(io_uring_prep_write, directory, &byte, 1, 0) == -EBADF);
      CHECK(q.run(io_uring_prep_read, reader, &byte, 1, UINT64_MAX - 1) == -EINVAL);
    });
  }

  TEST_CASE("a read of memory that is not there gives EFAULT") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      const owned_fd fd = open_file(d / "f", O_RDWR);
      const fd_pair pair = unix_pair();
      put(pair.far, "abc");
      auto* const nowhere = reinterpret_cast<void*>(std::uintptr_t{8});
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_read, fd, nowhere, 3, 0) == -EFAULT);
      CHECK(q.run(io_uring_prep_write, fd, nowhere, 3, 0) == -EFAULT);
      CHECK(q.run(io_uring_prep_recv, pair.near, nowhere, 3, 0) == -EFAULT);
      CHECK(q.run(io_uring_prep_send, pair.near, nowhere, 3, 0) == -EFAULT);
    });
  }

  TEST_CASE("several operations on one file run at once") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const owned_fd fd = open_file(d / "f", O_RDWR | O_CREAT);
      raw_queue q(k);
      std::vector<id> all;
      std::string letters = "abcdefghijklmnopqrstuvwxyz";
      for (std::size_t i = 0; i < letters.size(); ++i)
        all.push_back(q.start(io_uring_prep_write, fd, &letters[i], 1, i));
      for (const id one : all) CHECK(q.result(one) == 1);
      CHECK(read_file(d / "f") == letters);
      std::string back(26, ' ');
      all.clear();
      for (std::size_t i = 0; i < letters.size(); ++i)
        all.push_back(q.start(io_uring_prep_read, fd, &back[i], 1, i));
      for (const id one : all) CHECK(q.result(one) == 1);
      CHECK(back == letters);
    });
  }

  TEST_CASE("a read of an empty pipe waits, at offset 0 and at -1") {
    on_each_kernel([](kernel& k) {
      fd_pair pipe = pipe_pair();
      std::array<char, 64> buffer{};
      raw_queue q(k);
      for (const std::uint64_t offset : {std::uint64_t{0}, at_position}) {
        CAPTURE(offset);
        const id waiting = q.start(io_uring_prep_read, pipe.near, buffer.data(), 64, offset);
        CHECK(q.waits(waiting));
        put(pipe.far, "hello");
        CHECK(first(buffer, q.result(waiting)) == "hello");
        put(pipe.far, "there");
        CHECK(first(buffer, q.run(io_uring_prep_read, pipe.near, buffer.data(), 64, offset)) ==
              "there");
      }
      const id waiting = q.start(io_uring_prep_read, pipe.near, buffer.data(), 64, 0);
      CHECK(q.waits(waiting));
      pipe.far.close();
      CHECK(q.result(waiting) == 0);
      CHECK(q.run(io_uring_prep_read, pipe.near, buffer.data(), 64, at_position) == 0);
    });
  }

  TEST_CASE("a write to a full pipe waits until somebody reads") {
    on_each_kernel([](kernel& k) {
      const fd_pair pipe = pipe_pair();
      raw_queue q(k);
      fill_pipe(pipe.far);
      const id waiting = q.start(io_uring_prep_write, pipe.far, "x", 1, 0);
      CHECK(q.waits(waiting));
      (void)take(pipe.near, 8192);
      CHECK(q.result(waiting) == 1);
    });
  }

  TEST_CASE("a write to a pipe that nobody reads gives EPIPE, also when it was waiting") {
    on_each_kernel([](kernel& k) {
      const no_sigpipe guard;
      fd_pair pipe = pipe_pair();
      raw_queue q(k);
      fill_pipe(pipe.far);
      const id waiting = q.start(io_uring_prep_write, pipe.far, "x", 1, 0);
      CHECK(q.waits(waiting));
      pipe.near.close();
      CHECK(q.result(waiting) == -EPIPE);
      CHECK(q.run(io_uring_prep_write, pipe.far, "x", 1, at_position) == -EPIPE);
      const fd_pair pair = unix_pair();
      REQUIRE(::shutdown(pair.near, SHUT_WR) == 0);
      CHECK(q.run(io_uring_prep_write, pair.near, "x", 1, 0) == -EPIPE);
    });
  }

  TEST_CASE("reads of both ends of pipes wait on one queue") {
    on_each_kernel([](kernel& k) {
      const fd_pair one = pipe_pair();
      const fd_pair two = pipe_pair();
      std::array<char, 64> first_buffer{};
      std::array<char, 64> second_buffer{};
      raw_queue q(k);
      const id first_read = q.start(io_uring_prep_read, one.near, first_buffer.data(), 64, 0);
      const id second_read = q.start(io_uring_prep_read, two.near, second_buffer.data(), 64, 0);
      put(two.far, "two");
      CHECK(first(second_buffer, q.result(second_read)) == "two");
      CHECK(q.waits(first_read));
      put(one.far, "one");
      CHECK(first(first_buffer, q.result(first_read)) == "one");
    });
  }

  TEST_CASE("a read of a counter waits until it is not zero") {
    on_each_kernel([](kernel& k) {
      const owned_fd counter = event_counter();
      std::uint64_t value = 0;
      raw_queue q(k);
      for (const std::uint64_t offset : {std::uint64_t{0}, at_position}) {
        CAPTURE(offset);
        const id waiting = q.start(io_uring_prep_read, counter, &value, sizeof value, offset);
        CHECK(q.waits(waiting));
        const std::uint64_t seven = 7;
        CHECK(q.run(io_uring_prep_write, counter, &seven, sizeof seven, offset) == 8);
        CHECK(q.result(waiting) == 8);
        CHECK(value == 7);
      }
      CHECK(q.run(io_uring_prep_read, counter, &value, 4, 0) == -EINVAL);
    });
  }

  TEST_CASE("a write to a counter that is full waits until it is read") {
    on_each_kernel([](kernel& k) {
      const owned_fd counter = event_counter();
      const std::uint64_t full = UINT64_MAX - 1;
      const std::uint64_t one = 1;
      std::uint64_t value = 0;
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_write, counter, &full, sizeof full, 0) == 8);
      const id waiting = q.start(io_uring_prep_write, counter, &one, sizeof one, 0);
      CHECK(q.waits(waiting));
      CHECK(q.run(io_uring_prep_read, counter, &value, sizeof value, 0) == 8);
      CHECK(value == full);
      CHECK(q.result(waiting) == 8);
    });
  }

  TEST_CASE("a descriptor that is not to block gives EAGAIN to a read that would wait, or waits") {
    // Which of the two depends on the kernel's version and the kind of file: a read that waits can
    // be cancelled.
    on_each_kernel([](kernel& k) {
      const fd_pair pipe = pipe_pair();
      REQUIRE(::fcntl(pipe.near, F_SETFL, O_NONBLOCK) == 0);
      char byte = 0;
      raw_queue q(k);
      const id reading = q.start(io_uring_prep_read, pipe.near, &byte, 1, 0);
      if (q.waits(reading)) CHECK(q.cancel(reading) == 0);
      const int res = q.result(reading);
      CHECK((res == -EAGAIN || res == -ECANCELED));
    });
  }

  TEST_CASE("a file is opened, relative to a directory and by its whole path") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      raw_queue q(k);
      const owned_fd directory = open_file(d.path(), O_RDONLY | O_DIRECTORY);
      const owned_fd one(q.run(io_uring_prep_openat, directory, "f", O_RDONLY | O_CLOEXEC, 0));
      CHECK(one >= 0);
      CHECK(::fcntl(one, F_GETFD) == FD_CLOEXEC);
      CHECK(take(one, 8) == "abc");
      const std::string path = d / "new";
      const owned_fd two(
          q.run(io_uring_prep_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0640));
      CHECK(two >= 0);
      CHECK(::fcntl(two, F_GETFD) == 0);
      struct stat found{};
      REQUIRE(::fstat(two, &found) == 0);
      CHECK((found.st_mode & 07777u & ~0640u) == 0);
      CHECK(q.run(io_uring_prep_openat, directory, "new", O_WRONLY | O_CREAT | O_EXCL, 0600) ==
            -EEXIST);
      CHECK(q.run(io_uring_prep_openat, directory, "none", O_RDONLY, 0) == -ENOENT);
      CHECK(q.run(io_uring_prep_openat, directory, "f/g", O_RDONLY, 0) == -ENOTDIR);
      CHECK(q.run(io_uring_prep_openat, one, "f", O_RDONLY, 0) == -ENOTDIR);
      CHECK(q.run(io_uring_prep_openat, AT_FDCWD, d.path().c_str(), O_WRONLY, 0) == -EISDIR);
    });
  }

  TEST_CASE("by epoll, opening a FIFO waits for nobody at its other end") {
    // io_uring does not wait either, unless it has to look for the name on the disk.
    const temporary_directory d;
    const std::string path = d / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    raw_queue q(epoll_kernel());
    CHECK(q.run(io_uring_prep_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CLOEXEC, 0) == -ENXIO);
    const owned_fd near(
        q.run(io_uring_prep_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
    CHECK(near >= 0);
    const owned_fd far(
        q.run(io_uring_prep_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CLOEXEC, 0));
    CHECK(far >= 0);
  }

  TEST_CASE("a write that is larger than a FIFO's room can be cancelled") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const std::string path = d / "fifo";
      REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
      const std::string data(std::size_t{1} << 20, 'd');
      const auto size = static_cast<unsigned>(data.size());
      raw_queue q(k);
      const owned_fd fifo(
          q.run(io_uring_prep_openat, AT_FDCWD, path.c_str(), O_RDWR | O_CLOEXEC, 0));
      REQUIRE(fifo >= 0);
      for (int i = 0; i < 3; ++i) {
        const id writing = q.start(io_uring_prep_write, fifo, data.data(), size, 0);
        if (q.waits(writing)) (void)q.cancel(writing);  // or a thread makes the call already
        CHECK(q.result(writing) < static_cast<int>(size));
      }
    });
  }

  TEST_CASE("of two reads of a terminal the one that gets nothing can be cancelled") {
    on_each_kernel([](kernel& k) {
      const owned_fd user(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
      REQUIRE(user >= 0);
      REQUIRE(::grantpt(user) == 0);
      REQUIRE(::unlockpt(user) == 0);
      std::array<char, 64> path{};
      REQUIRE(::ptsname_r(user, path.data(), path.size()) == 0);
      std::array<char, 64> buffer{};
      std::array<char, 64> other{};
      raw_queue q(k);
      const owned_fd terminal(
          q.run(io_uring_prep_openat, AT_FDCWD, path.data(), O_RDWR | O_NOCTTY | O_CLOEXEC, 0));
      REQUIRE(terminal >= 0);
      const id one = q.start(io_uring_prep_read, terminal, buffer.data(), 64, 0);
      const id two = q.start(io_uring_prep_read, terminal, other.data(), 64, 0);
      CHECK(q.waits(one));
      CHECK(q.waits(two));
      put(user, "line\n");
      while (!q.arrived(one) && !q.arrived(two)) {
        q.enter(true);
        q.collect();
      }
      const bool first_got_it = q.arrived(one);
      CHECK(q.result(first_got_it ? one : two) == 5);
      const id left = first_got_it ? two : one;
      q.settle();
      (void)q.cancel(left);
      const int res = q.result(left);
      CHECK((res == -ECANCELED || res == -EINTR || res == -EAGAIN));
    });
  }

  TEST_CASE("a file that must lie beneath a directory is opened, others are not") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      std::filesystem::create_directory(d / "inner");
      write_file(d / "inner" / "f", "inside");
      write_file(d / "f", "outside");
      raw_queue q(k);
      const owned_fd inner = open_file(d / "inner", O_RDONLY | O_DIRECTORY);
      open_how how{.flags = O_RDONLY | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_BENEATH};
      const owned_fd fd(q.run(io_uring_prep_openat2, inner, "f", &how));
      CHECK(fd >= 0);
      CHECK(take(fd, 8) == "inside");
      CHECK(q.run(io_uring_prep_openat2, inner, "../f", &how) == -EXDEV);
      CHECK(q.run(io_uring_prep_openat2, inner, (d / "f").c_str(), &how) == -EXDEV);
      CHECK(q.run(io_uring_prep_openat2, inner, "none", &how) == -ENOENT);
      how.resolve = 1u << 30;
      CHECK(q.run(io_uring_prep_openat2, inner, "f", &how) == -EINVAL);
    });
  }

  TEST_CASE("statx tells of a path, of a link itself, and of a descriptor") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      std::filesystem::create_symlink("f", d / "link");
      raw_queue q(k);
      const std::string path = d / "f";
      const std::string link = d / "link";
      const owned_fd fd = open_file(path, O_RDONLY);
      struct statx found{};
      CHECK(q.run(io_uring_prep_statx, AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &found) == 0);
      CHECK(found.stx_size == 3);
      CHECK(S_ISREG(found.stx_mode));
      CHECK(q.run(io_uring_prep_statx, AT_FDCWD, link.c_str(), AT_SYMLINK_NOFOLLOW,
                  STATX_BASIC_STATS, &found) == 0);
      CHECK(S_ISLNK(found.stx_mode));
      found = {};
      CHECK(q.run(io_uring_prep_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &found) == 0);
      CHECK(found.stx_size == 3);
      CHECK(q.run(io_uring_prep_statx, AT_FDCWD, (path + "x").c_str(), 0, STATX_SIZE, &found) ==
            -ENOENT);
    });
  }

  TEST_CASE("names are made, moved and removed") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      write_file(d / "f", "abc");
      raw_queue q(k);
      const owned_fd at = open_file(d.path(), O_RDONLY | O_DIRECTORY);
      CHECK(q.run(io_uring_prep_mkdirat, at, "inner", 0700) == 0);
      CHECK(q.run(io_uring_prep_mkdirat, at, "inner", 0700) == -EEXIST);
      CHECK(q.run(io_uring_prep_renameat, at, "f", at, "inner/g", 0) == 0);
      CHECK(q.run(io_uring_prep_renameat, at, "f", at, "h", 0) == -ENOENT);
      CHECK(read_file(d / "inner" / "g") == "abc");
      write_file(d / "h", "other");
      CHECK(q.run(io_uring_prep_renameat, at, "h", at, "inner/g", RENAME_NOREPLACE) == -EEXIST);
      CHECK(q.run(io_uring_prep_renameat, at, "h", at, "inner/g", 0) == 0);
      CHECK(read_file(d / "inner" / "g") == "other");
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner", 0) == -EISDIR);
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner", AT_REMOVEDIR) == -ENOTEMPTY);
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner/g", AT_REMOVEDIR) == -ENOTDIR);
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner/g", 0) == 0);
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner/g", 0) == -ENOENT);
      CHECK(q.run(io_uring_prep_unlinkat, at, "inner", AT_REMOVEDIR) == 0);
      CHECK_FALSE(std::filesystem::exists(d / "inner"));
    });
  }

  TEST_CASE("a file is brought to disk") {
    on_each_kernel([](kernel& k) {
      const temporary_directory d;
      const owned_fd fd = open_file(d / "f", O_RDWR | O_CREAT);
      const fd_pair pipe = pipe_pair();
      raw_queue q(k);
      CHECK(q.run(io_uring_prep_write, fd, "abc", 3, 0) == 3);
      CHECK(q.run(io_uring_prep_fsync, fd, 0) == 0);
      CHECK(q.run(io_uring_prep_fsync, fd, IORING_FSYNC_DATASYNC) == 0);
      CHECK(q.run(io_uring_prep_fsync, pipe.near, 0) == -EINVAL);
    });
  }

  TEST_CASE("a descriptor is closed once") {
    on_each_kernel([](kernel& k) {
      raw_queue q(k);
      fd_pair pair = unix_pair();
      const int number = pair.near.release();
      CHECK(q.run(io_uring_prep_close, number) == 0);
      CHECK(take(pair.far, 1) == "");
      CHECK(::fcntl(number, F_GETFD) == -1);
      CHECK(q.run(io_uring_prep_close, number) == -EBADF);
      CHECK(q.run(io_uring_prep_close, -1) == -EBADF);
    });
  }
}

}  // namespace kernel_files_test

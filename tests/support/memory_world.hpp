// SPDX-License-Identifier: MIT
#pragma once
// Files and stream sockets that live in memory: what the test kernel's operations act on. It knows
// the submission entries that io/ writes, but neither queues nor time. An operation that would
// block says so, and is tried again when something has changed.

#include "weft/io/kernel/kernel.hpp"

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <sys/socket.h>

namespace weft::tests {

class memory_world {
public:
  /// What the entry's operation returns (-errno for an error), or nothing: it would block.
  std::optional<int> perform(const io_uring_sqe& entry);

  /// Goes up whenever an operation that blocks might go on.
  std::uint64_t changes() const noexcept { return changes_; }

  int socket(int domain, int type);
  int bind(int fd, const sockaddr* address, socklen_t length);
  int listen(int fd);
  int shutdown(int fd, int how);
  int close(int fd);
  int local_address(int fd, sockaddr* address, socklen_t* length);
  int peer_address(int fd, sockaddr* address, socklen_t* length);
  int catch_signals(std::uint64_t set, signal_catch how);
  int release_signals(int fd);
  /// Sends one to whoever catches it. 0 when nobody waits for it.
  int send_signal(int number);
  bool is_open(int fd) const { return open_.contains(fd); }
  std::size_t open_descriptors() const noexcept { return open_.size(); }

  /// Contents by path; a test may put files here and look at them.
  std::map<std::string, std::shared_ptr<std::string>> files;
  /// Reads, writes, receives and sends move no more than this at once.
  std::size_t transfer_max = SIZE_MAX;
  /// Bytes that a stream holds before a sender has to wait.
  std::size_t stream_capacity = 64 * 1024;

private:
  /// Far from the real ones: a number that reaches a system call is found out.
  static constexpr int first_descriptor = 1'000'000;

  struct stream {
    sockaddr_storage local{};
    sockaddr_storage peer{};
    bool listening = false;
    bool connected = false;
    bool reading_ended = false;  // shut down here, or the peer will send no more
    bool writing_ended = false;
    std::deque<std::shared_ptr<stream>> backlog{};
    std::string received{};
    std::weak_ptr<stream> other{};
  };
  struct caught_signals {
    std::uint64_t set;
    signal_catch how;
    int came = 0;
  };
  struct description {
    std::shared_ptr<std::string> contents{};
    int flags = 0;
    std::shared_ptr<stream> connection{};
    std::optional<caught_signals> signals{};
  };

  int add(description d);
  description* find(int fd);
  stream* find_stream(int fd);
  int open(const io_uring_sqe& entry);
  int status(const io_uring_sqe& entry);
  std::optional<int> read(const io_uring_sqe& entry);
  int write(const io_uring_sqe& entry);
  std::optional<int> receive(const io_uring_sqe& entry);
  std::optional<int> send(const io_uring_sqe& entry);
  std::optional<int> accept(const io_uring_sqe& entry);
  std::optional<int> poll(const io_uring_sqe& entry);
  int connect(const io_uring_sqe& entry);

  std::map<int, description> open_;
  std::uint64_t changes_ = 0;
  std::uint16_t next_port_ = 40'000;
};

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// Descriptors that close themselves, and system calls that throw, for the hand-written baselines.

#include <cerrno>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace bench {

/// `result` of a call that gives -1 and errno.
template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

class owned_fd {
public:
  explicit owned_fd(int fd = -1) noexcept : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  owned_fd& operator=(owned_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~owned_fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

}  // namespace bench

// SPDX-License-Identifier: MIT
#pragma once
// The real kernel behind an object of a test's own, which overrides what the test is about.

#include "weft/io/kernel/kernel.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace weft::tests {

class forwarding_kernel : public kernel {
public:
  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return real_.open_queue(options);
  }
  std::int64_t now() noexcept override { return real_.now(); }
  int heavy_fence() noexcept override { return real_.heavy_fence(); }
  std::unique_ptr<helper_thread> start_helper(void (*body)(void*), void* argument) override {
    return real_.start_helper(body, argument);
  }
  int socket(int domain, int type, int protocol) noexcept override {
    return real_.socket(domain, type, protocol);
  }
  int bind(int fd, const sockaddr* address, socklen_t length) noexcept override {
    return real_.bind(fd, address, length);
  }
  int listen(int fd, int backlog) noexcept override { return real_.listen(fd, backlog); }
  int shutdown(int fd, int how) noexcept override { return real_.shutdown(fd, how); }
  int close(int fd) noexcept override { return real_.close(fd); }
  void forget(int fd) noexcept override { real_.forget(fd); }
  int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept override {
    return real_.set_option(fd, level, name, value, size);
  }
  int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept override {
    return real_.get_option(fd, level, name, value, size);
  }
  int local_address(int fd, sockaddr* address, socklen_t* length) noexcept override {
    return real_.local_address(fd, address, length);
  }
  int peer_address(int fd, sockaddr* address, socklen_t* length) noexcept override {
    return real_.peer_address(fd, address, length);
  }
  std::ptrdiff_t read_directory(int fd, void* buffer, std::size_t size) noexcept override {
    return real_.read_directory(fd, buffer, size);
  }
  int catch_signals(std::uint64_t set, signal_catch how) noexcept override {
    return real_.catch_signals(set, how);
  }
  int release_signals(int fd) noexcept override { return real_.release_signals(fd); }

private:
  kernel& real_ = system_kernel();
};

}  // namespace weft::tests

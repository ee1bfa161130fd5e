// SPDX-License-Identifier: MIT
// The real kernel: each cold call is the system call of its name.

#include "weft/io/kernel/kernel.hpp"
#include "weft/io/kernel/linux_queue.hpp"
#include "weft/io/kernel/linux_signals.hpp"
#include "weft/io/ring.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <new>
#include <thread>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft {

namespace {

template <class T>
T or_errno(T result) noexcept {
  return result < 0 ? -errno : result;
}

class linux_helper final : public helper_thread {
public:
  linux_helper(void (*body)(void*), void* argument) : thread_(body, argument) {}
  ~linux_helper() override { thread_.join(); }

private:
  std::thread thread_;
};

class linux_kernel final : public kernel {
public:
  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return detail::open_linux_queue(*this, options);
  }
  std::int64_t now() noexcept override {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
  std::unique_ptr<helper_thread> start_helper(void (*body)(void*), void* argument) override {
    return std::make_unique<linux_helper>(body, argument);
  }
  int socket(int domain, int type, int protocol) noexcept override {
    return or_errno(::socket(domain, type | SOCK_CLOEXEC, protocol));
  }
  int bind(int fd, const sockaddr* address, socklen_t length) noexcept override {
    return or_errno(::bind(fd, address, length));
  }
  int listen(int fd, int backlog) noexcept override { return or_errno(::listen(fd, backlog)); }
  int shutdown(int fd, int how) noexcept override { return or_errno(::shutdown(fd, how)); }
  int close(int fd) noexcept override { return or_errno(::close(fd)); }
  int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept override {
    return or_errno(::setsockopt(fd, level, name, value, size));
  }
  int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept override {
    return or_errno(::getsockopt(fd, level, name, value, size));
  }
  int local_address(int fd, sockaddr* address, socklen_t* length) noexcept override {
    return or_errno(::getsockname(fd, address, length));
  }
  int peer_address(int fd, sockaddr* address, socklen_t* length) noexcept override {
    return or_errno(::getpeername(fd, address, length));
  }
  std::ptrdiff_t read_directory(int fd, void* buffer, std::size_t size) noexcept override {
    return or_errno(::syscall(SYS_getdents64, fd, buffer, size));
  }
  int catch_signals(std::uint64_t set, signal_catch how) noexcept override {
    return detail::catch_linux_signals(set, how);
  }
  int release_signals(int fd) noexcept override { return detail::release_linux_signals(fd); }
};

}  // namespace

kernel& system_kernel() noexcept {
  // Never destroyed: threads may still ask for the time while the program exits. In memory of its
  // own: there is nothing that could fail.
  alignas(linux_kernel) static std::byte memory[sizeof(linux_kernel)];
  static linux_kernel* const only = ::new (memory) linux_kernel;
  return *only;
}

kernel& current_kernel() noexcept {
  detail::worker* const w = detail::current_worker();
  return w != nullptr && w->ring != nullptr ? w->ring->kernel_used() : system_kernel();
}

}  // namespace weft

// SPDX-License-Identifier: MIT
// The operating system as kernels: each cold call is the system call of its name, and a queue is an
// io_uring or the one that takes its place.

#include "weft/io/kernel/descriptor_age.hpp"
#include "weft/io/kernel/epoll_queue.hpp"
#include "weft/io/kernel/kernel.hpp"
#include "weft/io/kernel/kernel_choice.hpp"
#include "weft/io/kernel/linux_queue.hpp"
#include "weft/io/kernel/linux_signals.hpp"
#include "weft/io/ring.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft {

namespace {

using detail::answered_by;

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

answered_by asked_for() {
  const std::string_view name = detail::kernel_asked_for();
  if (const std::optional<answered_by> who = detail::kernel_named(name)) return *who;
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "weft cannot start: WEFT_KERNEL is \"" + std::string(name) +
                              "\"; it may be uring or epoll, or unset to take what there is");
}

// Registered first, by whoever comes first in this process: a forked child has to do it again.
int fence_all_threads() noexcept {
  const auto membarrier = [](int command) noexcept {
    return static_cast<int>(::syscall(SYS_membarrier, command, 0, 0));
  };
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return 0;
  if (errno != EPERM || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0) return -errno;
  return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0 ? 0 : -errno;
}

class linux_kernel final : public kernel {
public:
  explicit linux_kernel(answered_by who) noexcept : who_(who) {}

  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    answered_by who = who_.load(std::memory_order_relaxed);  // relaxed: nothing else goes with it
    if (who == answered_by::undecided) {
      who = asked_for();
      if (who == answered_by::undecided) return open_first(options);
      who_.store(who, std::memory_order_relaxed);  // relaxed: every thread finds the same
    }
    return open(who, options);
  }
  int heavy_fence() noexcept override { return fence_all_threads(); }
  std::int64_t now() noexcept override {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
  std::int64_t look_before_sleep_ns() const noexcept override { return 50'000; }
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
  int close(int fd) noexcept override {
    forget(fd);
    return or_errno(::close(fd));
  }
  void forget(int fd) noexcept override { detail::age_descriptor(fd); }
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

private:
  std::unique_ptr<kernel_queue> open(answered_by who, const queue_options& options) {
    if (who == answered_by::epoll) return detail::open_epoll_queue(*this, options);
    return detail::open_linux_queue(*this, options);
  }

  /// Whichever queue is opened first decides for all: a listener on which one kind has accepted may
  /// not be for the other (epoll_queue.hpp).
  std::unique_ptr<kernel_queue> open_first(const queue_options& options) {
    std::unique_ptr<kernel_queue> queue;
    try {
      queue = detail::open_linux_queue(*this, options);
    } catch (const std::system_error& e) {
      if (!detail::is_refusal(e.code())) throw;
    }
    const answered_by found = queue != nullptr ? answered_by::uring : answered_by::epoll;
    answered_by decided = answered_by::undecided;
    // relaxed: nothing else goes with it
    if (who_.compare_exchange_strong(decided, found, std::memory_order_relaxed)) decided = found;
    if (decided == answered_by::uring && queue != nullptr) return queue;
    queue.reset();
    return open(decided, options);
  }

  std::atomic<answered_by> who_;
};

// Never destroyed: threads may still ask for the time while the program exits. In memory of its
// own: there is nothing that could fail.
template <answered_by Who>
kernel& the_only() noexcept {
  alignas(linux_kernel) static std::byte memory[sizeof(linux_kernel)];
  static linux_kernel* const only = ::new (memory) linux_kernel(Who);
  return *only;
}

}  // namespace

kernel& system_kernel() noexcept { return the_only<answered_by::undecided>(); }

kernel& uring_kernel() noexcept { return the_only<answered_by::uring>(); }

kernel& epoll_kernel() noexcept { return the_only<answered_by::epoll>(); }

kernel& current_kernel() noexcept {
  detail::worker* const w = detail::current_worker();
  return w != nullptr && w->ring != nullptr ? w->ring->kernel_used() : system_kernel();
}

}  // namespace weft

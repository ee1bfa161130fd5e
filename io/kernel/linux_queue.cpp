// SPDX-License-Identifier: MIT
#include "weft/io/kernel/linux_queue.hpp"

#include "weft/io/kernel/fork_guard.hpp"
#include "weft/io/kernel/ring_needs.hpp"
#include "weft/runtime/assert.hpp"

#include <liburing.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>

#include <sys/eventfd.h>
#include <unistd.h>

// ThreadSanitizer's annotations, null in programs without it.
extern "C" {
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}

namespace weft::detail {

namespace {

// liburing maps queues by raw system calls, which ThreadSanitizer doesn't see: it takes two queues
// that get the same addresses one after the other for shared memory. The kernel has ordered the one
// after the other; so does this, for the sanitizer.
char mapped_queues;

const char* likely_cause(int error) noexcept {
  switch (error) {
  case ENOSYS:
    return "this kernel has no io_uring, or a seccomp filter hides it (containers: run with a "
           "profile that allows io_uring_setup, io_uring_enter and io_uring_register)";
  case EPERM:
  case EACCES:
    return "io_uring is forbidden here: look at sysctl kernel.io_uring_disabled, and at the "
           "container's seccomp profile";
  case ENOMEM:
    return "not enough memory that may be locked: look at ulimit -l (RLIMIT_MEMLOCK)";
  case EMFILE:
  case ENFILE:
    return "no descriptor is left: look at ulimit -n (RLIMIT_NOFILE)";
  case EINVAL:
    return "this kernel's io_uring is too old: Linux 5.19 is needed";
  default:
    return "the kernel refused a ring";
  }
}

[[noreturn]] void refuse_ring(const char* call, int error) {
  throw std::system_error(error, std::system_category(),
                          std::string("weft cannot start: ") + call + " failed; " +
                              likely_cause(error));
}

class linux_queue final : public kernel_queue {
public:
  linux_queue(kernel& owner, const queue_options& options, setup_call call) : owner_(owner) {
    doorbell_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (doorbell_ < 0) refuse_ring("eventfd", errno);
    if (const int error = set_up(options, call)) {
      ::close(doorbell_);
      refuse_ring("io_uring_setup", error);
    }
    // A filter may have thought of this call only.
    const int entered = io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), 0, 0,
                                        IORING_ENTER_GETEVENTS, nullptr, 0);
    if (entered < 0) {
      io_uring_queue_exit(&ring_);
      ::close(doorbell_);
      refuse_ring("io_uring_enter", -entered);
    }
    if (__tsan_acquire != nullptr) __tsan_acquire(&mapped_queues);
    io_uring_ring_dontfork(&ring_);
    // A few per cent less per enter; a kernel that refuses it is entered by descriptor.
    if (io_uring_register_ring_fd(&ring_) == 1) registered_ = IORING_ENTER_REGISTERED_RING;
    for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
  }
  ~linux_queue() override {
    // The registration belongs to the thread that made it, and ends with it. On another one the
    // same number is somebody else's: liburing must not take that away.
    if (std::this_thread::get_id() != opener_) ring_.int_flags = 0;
    if (__tsan_release != nullptr) __tsan_release(&mapped_queues);
    io_uring_queue_exit(&ring_);
    ::close(doorbell_);
  }

  io_uring& memory() noexcept override {
    here_.refuse_queue();  // the queues are not mapped there
    return ring_;
  }

  int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override {
    // There the registered number is that of another ring, or of none.
    WEFT_ASSERT(std::this_thread::get_id() == opener_,
                "a ring was entered by a thread that is not its owner");
    unsigned flags = IORING_ENTER_GETEVENTS | registered_;
    __kernel_timespec timeout{};
    io_uring_getevents_arg argument{};
    void* pointer = nullptr;
    std::size_t size = 0;
    if (wait && deadline_ns != INT64_MAX) {
      const std::int64_t left = deadline_ns - owner_.now();
      if (left <= 0) {
        wait = false;  // going to sleep costs 20 us, even for no time
      } else {
        timeout.tv_sec = left / 1'000'000'000;
        timeout.tv_nsec = left % 1'000'000'000;
        argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
        flags |= IORING_ENTER_EXT_ARG;
        pointer = &argument;
        size = sizeof argument;
      }
    }
    return io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), submissions, wait ? 1 : 0,
                           flags, static_cast<sigset_t*>(pointer), size);
  }

  void ring_doorbell() noexcept override {
    here_.refuse_queue();
    const std::uint64_t one = 1;
    // Fails only when the counter is full: then the doorbell has been ringing for a long time.
    [[maybe_unused]] const ssize_t written = ::write(doorbell_, &one, sizeof one);
  }
  int doorbell_fd() const noexcept override { return doorbell_; }

private:
  int set_up(const queue_options& options, setup_call call) noexcept {
    int error = EINVAL;
    for (const unsigned flags : ring_flag_sets) {
      io_uring_params parameters{};
      parameters.flags = flags;
      parameters.cq_entries = options.completions;
      error = -call(options.entries, &ring_, &parameters);
      if (error == EINVAL) continue;
      if (error == 0 && (ring_.features & ring_features_needed) != ring_features_needed) {
        io_uring_queue_exit(&ring_);
        error = EINVAL;
      }
      break;
    }
    return error;
  }

  kernel& owner_;
  const std::thread::id opener_ = std::this_thread::get_id();
  const fork_guard here_;
  io_uring ring_{};
  int doorbell_ = -1;
  unsigned registered_ = 0;
};

}  // namespace

std::unique_ptr<kernel_queue> open_linux_queue(kernel& owner, const queue_options& options) {
  return open_linux_queue(owner, options, &io_uring_queue_init_params);
}

std::unique_ptr<kernel_queue> open_linux_queue(kernel& owner, const queue_options& options,
                                               setup_call call) {
  return std::make_unique<linux_queue>(owner, options, call);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A second kernel, in the process and in memory: the whole of io/ and sched/ runs on it as on the
// real one, but without a system call, under a virtual clock, and with the faults that a test asks
// for.
//
// Time stands still while anybody runs. When every open queue waits and none has anything to reap,
// the clock jumps to the next deadline: of a queue's wait, or of an operation; also while a thread
// outside is about to ring one of them. With one queue (an event loop) all of it is deterministic:
// operations complete in the order in which they were submitted.

#include "support/enter_faults.hpp"
#include "support/memory_world.hpp"
#include "weft/io/kernel/kernel.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

namespace weft::tests {

class test_queue;

class test_kernel final : public kernel {
public:
  static constexpr std::int64_t never = INT64_MAX;
  static constexpr std::int64_t first_instant = 1'000'000'000;

  struct entry_plan {
    std::int64_t delay_ns = 0;    // never: until it is cancelled
    std::optional<int> result{};  // instead of what the operation itself would give
  };
  struct cancel_plan {
    int result = 0;
    std::optional<int> target_result{};  // none: the target goes on as if nothing had been
    std::int64_t delay_ns = 0;           // until the cancel's own completion
    std::int64_t target_delay_ns = 0;
    bool target_first = true;
  };

  // Faults, and how the kernel starts; set before a scheduler opens a queue, called under its lock.
  enter_fault on_enter{};
  std::function<entry_plan(const io_uring_sqe&)> on_entry{};
  std::function<cancel_plan(const io_uring_sqe& target)> on_cancel{};  // of one that is in flight
  std::function<void()> on_doorbell{};  // on the thread that rings; without the lock
  bool polled_doorbell = false;         // the doorbell is a descriptor that the ring polls
  bool doorbell_polls_end = false;      // ... and each such poll ends with its first completion
  bool alone = false;                   // no other thread rings: a wait without an end is a failure
  memory_world world;

  // What has happened; exact when no scheduler runs.
  std::uint64_t enters = 0;
  std::uint64_t sleeps = 0;   // enters that had to wait
  std::uint64_t entries = 0;  // submissions taken, cancels and polls of the doorbell included
  std::uint64_t cancels = 0;
  std::uint64_t overflows = 0;    // completions that found no room
  std::uint64_t deaf_sleeps = 0;  // sleeps of a ring that does not poll its doorbell

  /// Moves the clock while somebody runs; for the functions above.
  void let_time_pass(std::chrono::nanoseconds d) noexcept { set_now(now() + d.count()); }

  test_kernel() = default;
  ~test_kernel() override;

  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override;
  int heavy_fence() noexcept override { return -ENOSYS; }
  std::int64_t now() noexcept override {
    return now_.load(std::memory_order_relaxed);  // relaxed: the lock orders what depends on it
  }
  std::unique_ptr<helper_thread> start_helper(void (*body)(void*), void* argument) override;
  int socket(int domain, int type, int protocol) noexcept override;
  int bind(int fd, const sockaddr* address, socklen_t length) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int shutdown(int fd, int how) noexcept override;
  int close(int fd) noexcept override;
  void forget(int) noexcept override {}
  int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept override;
  int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept override;
  int local_address(int fd, sockaddr* address, socklen_t* length) noexcept override;
  int peer_address(int fd, sockaddr* address, socklen_t* length) noexcept override;
  std::ptrdiff_t read_directory(int fd, void* buffer, std::size_t size) noexcept override;
  int catch_signals(std::uint64_t set, signal_catch how) noexcept override;
  int release_signals(int fd) noexcept override;
  /// Completes what is held until it is cancelled; how many operations that were. Thread: any.
  int complete_held() noexcept;
  /// As kill(2) from outside: how many catch it, 0 when nobody waits for it. Thread: any.
  int send_signal(int number) noexcept;

private:
  friend class test_queue;

  struct request {
    test_queue* from;
    std::int64_t due;  // never: it waits for a descriptor, or for a cancel
    std::optional<int> result;
    bool blocked;
    std::unique_ptr<const io_uring_sqe> entry;
  };
  using request_map = std::map<std::uint64_t, request>;  // by number, in the order of submission

  void set_now(std::int64_t ns) noexcept {
    now_.store(ns, std::memory_order_relaxed);  // relaxed: under the lock
  }
  void take(test_queue& from, const io_uring_sqe& entry);
  void cancel(test_queue& from, const io_uring_sqe& entry);
  void keep(request r);
  request remove(request_map::iterator where);
  request_map::iterator find_target(const test_queue& from, std::uint64_t user_data);
  void attempt(request r);
  void retry_blocked();
  void expire();
  void forget(const test_queue& q) noexcept;
  bool jump();
  int sleep(std::unique_lock<std::mutex>& lock, test_queue& q, std::int64_t deadline_ns);
  template <class Change>
  int change_world(Change change) noexcept;

  std::atomic<std::int64_t> now_{first_instant};  // written under the lock
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<test_queue*> queues_;
  std::uint64_t last_number_ = 0;
  request_map requests_;
  std::set<std::pair<std::int64_t, std::uint64_t>> due_;  // due time, number
  std::set<std::uint64_t> blocked_;                       // number
  std::multimap<std::pair<const test_queue*, std::uint64_t>, std::uint64_t> by_user_data_;
};

}  // namespace weft::tests

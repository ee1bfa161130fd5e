// SPDX-License-Identifier: MIT
#pragma once
// The emulated kernel's queue, for where io_uring is refused: it takes the same entries and answers
// with the same completions. What can be waited for is tried at once, then when epoll says that it
// is ready (edge-triggered, watched_descriptors.hpp); for files, directories and whatever else
// nothing tells of, at most sixteen helper threads of each queue make the call.
//
// What differs from io_uring, beside speed: a file that is closed while an operation on it is in
// flight is closed at once, and that operation ends by its cancel alone; paths and addresses are
// read until the operation has ended. The first accept gives a listener O_NONBLOCK, as opening does
// to a FIFO or terminal: io_uring waits on such a one in Linux 6.18, older ones may answer EAGAIN.
// Opening a FIFO never waits for its other end. Known are the operations and flags that weft uses,
// and multishot accepts, receives and polls, buffer selection and time-outs; others complete with
// -EINVAL.
//
//   B1: ring_doorbell says that it was called (release), then rings -> who hears a ring asks if it
//       was a call (acquire): a helper's does not end a sleep.
//
// epoll_queue.cpp: entering, taking entries, completing them; epoll_operations.cpp: what becomes of
// one in between.

#include "weft/io/helper_pool.hpp"
#include "weft/io/kernel/fork_guard.hpp"
#include "weft/io/kernel/kernel.hpp"
#include "weft/io/kernel/pending_entries.hpp"
#include "weft/io/kernel/provided_buffers.hpp"
#include "weft/io/kernel/queue_memory.hpp"
#include "weft/io/kernel/watched_descriptors.hpp"
#include "weft/runtime/timer_queue.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace weft::detail {

class epoll_queue final : public kernel_queue {
public:
  epoll_queue(kernel& owner, const queue_options& options);

  io_uring& memory() noexcept override {
    here_.refuse_queue();
    return memory_.ring();
  }
  int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override;
  void ring_doorbell() noexcept override {
    here_.refuse_queue();
    called_.store(true, std::memory_order_release);  // sync: B1
    descriptors_.ring_doorbell();
  }
  int doorbell_fd() const noexcept override { return -1; }

private:
  /// What an operation has come to.
  enum class progress : unsigned char { done, blocked, gives_way, needs_time, needs_helper };

  unsigned take_all(unsigned submissions) noexcept;
  bool take(const io_uring_sqe& sqe) noexcept;
  bool take_on_descriptor(const io_uring_sqe& sqe, call_kind kind) noexcept;
  int do_itself(const io_uring_sqe& sqe) noexcept;
  int shut_down(int fd, int how) noexcept;
  int cancel(std::uint64_t user_data, int opcode) noexcept;
  void start_timeout(pending_entry& e) noexcept;
  void start_close(pending_entry& e) noexcept;

  void advance(pending_entry& e, watched& w) noexcept;
  void settle(pending_entry& e, progress p) noexcept;
  progress try_it(pending_entry& e, watched& w) noexcept;
  static progress poll(pending_entry& e) noexcept;
  static progress connect(pending_entry& e) noexcept;
  static int call_once(const io_uring_sqe& sqe, watched& w) noexcept;
  progress call(pending_entry& e, watched& w) noexcept;
  progress hear(pending_entry& e, std::uint32_t events) noexcept;
  bool select_buffer(const pending_entry& e, io_uring_sqe& filled) const noexcept;
  void wait_for(pending_entry& e, watched& w) noexcept;
  void wait_for_nothing(pending_entry& e) noexcept;
  void send_to_helper(pending_entry& e) noexcept;
  void take_from_helper(pending_entry& e) noexcept;
  static void run_on_helper(helper_job& job) noexcept;

  int sleep(std::int64_t deadline_ns) noexcept;
  int look(std::int64_t timeout_ns) noexcept;
  void handle(watched& w, std::uint32_t events) noexcept;
  void continue_on_edge(pending_entry& e, watched& w, std::uint32_t events) noexcept;
  void take_from_helpers() noexcept;
  void go_on() noexcept;
  void expire() noexcept;

  bool has_room() const noexcept { return finished_.empty() && memory_.has_room(); }
  void complete(const io_uring_sqe& sqe, int res) noexcept;
  void finish(pending_entry& e, int res) noexcept;
  void flush() noexcept;

  // Fixed after start.
  kernel& owner_;
  const std::thread::id opener_ = std::this_thread::get_id();
  const fork_guard here_;

  // The owner's thread.
  queue_memory memory_;
  watched_descriptors descriptors_;  // the doorbell: any
  pending_entries entries_{*this, &run_on_helper};
  provided_buffers buffers_;
  timer_queue timeouts_;
  pending_list again_;
  pending_list orphans_;  // nobody tells of what they wait for: they end by their cancel alone
  pending_list finished_;
  std::size_t on_helpers_ = 0;
  unsigned looks_spared_ = 0;
  bool rung_ = false;  // and no sleep has ended by it

  std::atomic<bool> called_{false};  // by others, through the doorbell that helpers ring, too

  // Helpers, too. Joined before anything else goes.
  std::mutex done_lock_;
  pending_list done_;
  helper_pool helpers_;
};

/// Errors: system_error that names the call, the errno and the likely cause; bad_alloc.
std::unique_ptr<kernel_queue> open_epoll_queue(kernel& owner, const queue_options& options);

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A kernel_queue without a scheduler, for tests of the kernels themselves: entries are filled by
// liburing's inline functions, completions looked up by the operation that they belong to. Each
// operation has an id of its own, and each completion that arrives must belong to one that has not
// ended. What still runs at the end is cancelled and awaited, so that buffers declared before the
// queue are safe.

#include "support/both_schedulers.hpp"
#include "support/io_uring_refusal.hpp"
#include "weft/io/kernel/kernel.hpp"

#include <doctest/doctest.h>
#include <liburing.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include <poll.h>

namespace weft::tests {

/// What a queue said of an operation.
struct completion {
  std::uint64_t id = 0;
  int res = 0;
  unsigned flags = 0;

  bool more() const noexcept { return (flags & IORING_CQE_F_MORE) != 0; }
  bool has_buffer() const noexcept { return (flags & IORING_CQE_F_BUFFER) != 0; }
  unsigned buffer() const noexcept { return flags >> IORING_CQE_BUFFER_SHIFT; }
};

class raw_queue {
public:
  using id = std::uint64_t;
  static constexpr std::int64_t patience_ns = 20'000'000'000;

  explicit raw_queue(kernel& k, const queue_options& options = {.entries = 64, .completions = 256})
      : raw_queue(k, k.open_queue(options)) {}
  raw_queue(kernel& k, std::unique_ptr<kernel_queue> queue)
      : kernel_(k), queue_(std::move(queue)) {}
  raw_queue(const raw_queue&) = delete;
  raw_queue& operator=(const raw_queue&) = delete;
  ~raw_queue() { CHECK(end_all()); }

  kernel& used() noexcept { return kernel_; }
  kernel_queue& raw() noexcept { return *queue_; }
  io_uring& memory() noexcept { return queue_->memory(); }

  /// Fills an entry: start(io_uring_prep_recv, fd, data, size, flags). Handed over by whatever
  /// enters next.
  template <class... Parameters>
  id start(void (*prepare)(io_uring_sqe*, Parameters...),
           std::type_identity_t<Parameters>... arguments) {
    newest_ = io_uring_get_sqe(&memory());
    if (newest_ == nullptr) {
      enter(false);
      newest_ = io_uring_get_sqe(&memory());
    }
    REQUIRE(newest_ != nullptr);
    prepare(newest_, arguments...);
    newest_->user_data = ++last_;
    running_.insert(last_);
    return last_;
  }
  /// That of the last operation: they are counted.
  id last_id() const noexcept { return last_; }
  /// The entry of the last start(), until it is handed over.
  io_uring_sqe& newest() noexcept { return *newest_; }

  /// Hands over what has been started; completions stay in the queue's memory.
  int enter(bool wait, std::int64_t deadline_ns = INT64_MAX) {
    io_uring& m = memory();
    io_uring_smp_store_release(m.sq.ktail, m.sq.sqe_tail);
    const unsigned submissions = m.sq.sqe_tail - io_uring_smp_load_acquire(m.sq.khead);
    return queue_->enter(submissions, wait, deadline_ns);
  }
  unsigned flags() noexcept { return IO_URING_READ_ONCE(*memory().sq.kflags); }
  unsigned unread() noexcept { return io_uring_cq_ready(&memory()); }

  /// Reads what lies in the queue's memory. Returns how many completions that were.
  unsigned collect() {
    unsigned count = 0;
    unsigned head = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&memory(), head, cqe) {
      ++count;
      note({cqe->user_data, cqe->res, cqe->flags});
    }
    io_uring_cq_advance(&memory(), count);
    return count;
  }

  /// Enters without waiting until that brings in nothing more, twice: a queue that has completed
  /// something by itself need not have looked around.
  void settle() {
    for (int quiet = 0; quiet < 2; ++quiet) {
      enter(false);
      if (collect() != 0 || (flags() & IORING_SQ_CQ_OVERFLOW) != 0) quiet = -1;
    }
  }
  /// Whether the operation has been handed over and nothing has arrived of it.
  bool waits(id operation) {
    settle();
    return running(operation) && find(operation) == arrived_.end();
  }
  bool running(id operation) const { return running_.count(operation) != 0; }
  bool arrived(id operation) { return find(operation) != arrived_.end(); }
  std::size_t count_running() const { return running_.size(); }

  /// The operation's next completion; waits for it.
  completion next(id operation) {
    const std::int64_t deadline = kernel_.now() + (hangs_ ? 0 : patience_ns);
    settle();
    while (find(operation) == arrived_.end()) {
      hangs_ = kernel_.now() >= deadline;
      if (hangs_) FAIL("operation " << operation << " has no completion, and should have one");
      enter(true, deadline);
      settle();
    }
    const auto where = find(operation);
    const completion found = *where;
    arrived_.erase(where);
    return found;
  }
  /// The result of an operation with one completion.
  int result(id operation) {
    const completion only = next(operation);
    CHECK_FALSE(only.more());
    return only.res;
  }
  /// Starts an operation, and awaits its result.
  template <class... Parameters>
  int run(void (*prepare)(io_uring_sqe*, Parameters...),
          std::type_identity_t<Parameters>... arguments) {
    return result(start(prepare, arguments...));
  }
  /// The result of a cancel.
  int cancel(id operation) { return run(io_uring_prep_cancel64, operation, 0); }

  /// As the ring of a worker: has the descriptor of the doorbell polled, if there is one.
  void listen_to_doorbell() {
    if (queue_->doorbell_fd() < 0) return;
    start(io_uring_prep_poll_multishot, queue_->doorbell_fd(), POLLIN);
    newest_->user_data = doorbell;
    running_.erase(last_);
    enter(false);
  }

  /// Cancels what runs. False when something doesn't end.
  bool end_all() {
    const std::set<id> left = running_;
    for (const id operation : left) start(io_uring_prep_cancel64, operation, 0);
    const std::int64_t deadline = kernel_.now() + patience_ns;
    settle();
    while (!running_.empty() && kernel_.now() < deadline) {
      enter(true, deadline);
      settle();
    }
    return running_.empty();
  }

private:
  static constexpr id doorbell = UINT64_MAX;

  void note(const completion& c) {
    if (c.id == doorbell) return;
    CHECK(running(c.id));  // else a second end, or of nobody's
    if (!c.more()) running_.erase(c.id);
    arrived_.push_back(c);
  }
  std::deque<completion>::iterator find(id operation) {
    auto where = arrived_.begin();
    while (where != arrived_.end() && where->id != operation) ++where;
    return where;
  }

  kernel& kernel_;
  std::unique_ptr<kernel_queue> queue_;
  io_uring_sqe* newest_ = nullptr;
  id last_ = 0;
  bool hangs_ = false;  // something was waited for in vain, and nothing is any more
  std::set<id> running_;
  std::deque<completion> arrived_;
};

/// Calls `body(kernel)` with the kernel that is io_uring, and with the one that is epoll. Where
/// io_uring is refused the first is left out: the program that was to run on it says so (main.cpp).
template <class Body>
void on_each_kernel(Body body) {
  for (kernel* const k : {&uring_kernel(), &epoll_kernel()}) {
    if (k == &uring_kernel() && io_uring_refusal() != 0) continue;
    const std::string on = k == &uring_kernel() ? "io_uring" : "epoll";
    CAPTURE(on);
    const nothing_left_behind guard;
    body(*k);
  }
}

}  // namespace weft::tests

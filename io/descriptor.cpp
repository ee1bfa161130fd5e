// SPDX-License-Identifier: MIT
#include "weft/io/descriptor.hpp"

#include "weft/io/descriptor_operation.hpp"
#include "weft/io/ring.hpp"
#include "weft/runtime/assert.hpp"

#include <liburing.h>

#include <cerrno>
#include <utility>

namespace weft::detail {

namespace {

constexpr operation_kind never_withdrawn{
    .name = "close", .withdraw = [](operation&, worker&) noexcept { return false; }};

}  // namespace

/// Waits until nobody but the closer uses the descriptor. A stop does not refuse it: whoever pends
/// has been shut down or cannot be cancelled anyway, and the descriptor has to be closed.
class descriptor::drained : public waiter, public operation_tag {
public:
  explicit drained(descriptor& d) noexcept : waiter(never_withdrawn), descriptor_(&d) {}
  drained(const drained&) = delete;
  drained& operator=(const drained&) = delete;

  bool await_ready() const noexcept {
    constexpr auto own = static_cast<std::uint32_t>(descriptor_use::shared);
    return descriptor_->state_.load(std::memory_order_acquire) == (closed | own);  // sync: D1
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    descriptor& d = *descriptor_;
    strand& s = strand_of(*promise);
    d.closer_ = this;
    s.begin_join(*this);
    s.commit_wait();
    d.end(descriptor_use::shared);
  }
  void await_resume() const noexcept {}

private:
  descriptor* descriptor_;
};

/// IORING_OP_CLOSE; like the wait before it neither refused nor cancelled.
class descriptor::close_entry : public ring_operation, public operation_tag {
public:
  explicit close_entry(int fd) noexcept : ring_operation(never_withdrawn), fd_(fd) {
    prepare = [](ring_operation& op, io_uring_sqe& sqe) noexcept {
      io_uring_prep_close(&sqe, static_cast<close_entry&>(op).fd_);
    };
  }
  close_entry(const close_entry&) = delete;
  close_entry& operator=(const close_entry&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    worker& w = *current_worker();
    strand& s = strand_of(*promise);
    owner = &w;
    s.begin_join(*this);
    w.ring->submit(*this);
    s.commit_wait();
  }
  /// The descriptor is gone in any case. What it may still say is that data did not reach the disk.
  void await_resume() const {
    if (res < 0 && res != -EINTR) throw_error({-res, std::system_category()}, "close");
  }

private:
  int fd_;
};

descriptor::descriptor(descriptor&& other) noexcept { *this = std::move(other); }

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  if (this == &other) return *this;
  close_now();
  const std::uint32_t state = other.state_.load(std::memory_order_relaxed);  // relaxed: one owner
  WEFT_ASSERT((state & ~closed) == 0,
              "a stream, listener or file was moved while an operation on it is in flight");
  kernel_ = other.kernel_;
  fd_ = std::exchange(other.fd_, -1);
  state_.store(state, std::memory_order_relaxed);         // relaxed: one owner
  other.state_.store(closed, std::memory_order_relaxed);  // relaxed: one owner
  return *this;
}

void descriptor::close_now() noexcept {
  const std::uint32_t state = state_.load(std::memory_order_acquire);  // sync: D1
  WEFT_ASSERT((state & ~closed) == 0,
              "a stream, listener or file was destroyed while an operation on it is in flight: "
              "join the task that uses it first");
  if (state == 0) kernel_->close(std::exchange(fd_, -1));
  state_.store(closed, std::memory_order_relaxed);  // relaxed: one owner
}

int descriptor::try_begin(descriptor_use use) noexcept {
  const auto bits = static_cast<std::uint32_t>(use);
  const std::uint32_t exclusive = use == descriptor_use::shared ? 0 : bits;
  std::uint32_t state = state_.load(std::memory_order_relaxed);  // relaxed: a guess for the CAS
  do {
    if ((state & closed) != 0) return EBADF;
    if ((state & exclusive) != 0) return EBUSY;
  } while (!state_.compare_exchange_weak(state, state + bits,
                                         std::memory_order_acq_rel,  // sync: D2
                                         std::memory_order_relaxed));
  return 0;
}

bool descriptor::end(descriptor_use use) noexcept {
  const auto bits = static_cast<std::uint32_t>(use);
  const std::uint32_t before = state_.fetch_sub(bits, std::memory_order_acq_rel);  // sync: D1
  if ((before & closed) == 0) [[likely]]
    return false;
  // Safe: the closer waits for this call, and with it the descriptor.
  if (before == (closed | bits)) closer_->complete();
  return true;
}

bool descriptor::try_begin_close() noexcept {
  constexpr auto own = static_cast<std::uint32_t>(descriptor_use::shared);
  std::uint32_t state = state_.load(std::memory_order_relaxed);  // relaxed: a guess for the CAS
  do {
    if ((state & closed) != 0) return false;
  } while (!state_.compare_exchange_weak(state, (state + own) | closed,
                                         std::memory_order_acq_rel,  // sync: D2
                                         std::memory_order_relaxed));
  return true;
}

task<> descriptor::close(kind k) {
  if (!try_begin_close()) co_return;
  drained others(*this);
  // Whoever waits in the kernel for this socket comes back with an error or the end of the stream.
  if (k == kind::socket && !others.await_ready()) kernel_->shutdown(fd_, SHUT_RDWR);
  co_await others;
  kernel_->forget(fd_);
  close_entry entry(std::exchange(fd_, -1));
  // Nothing uses the descriptor any more: it may be destroyed while the entry is in flight.
  state_.store(closed, std::memory_order_release);  // sync: D1
  co_await entry;
}

descriptor_hold::descriptor_hold(descriptor& d, const char* call) : descriptor_(&d) {
  if (const int error = d.try_begin(descriptor_use::shared))
    throw_error({error, std::system_category()}, call);
}

void throw_partial(std::error_code code, std::size_t transferred, const char* call) {
  if (code == cancelled_code()) throw cancelled(transferred);
  throw io_error(code, transferred, call);
}

}  // namespace weft::detail

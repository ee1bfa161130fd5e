// SPDX-License-Identifier: MIT
#include "weft/io/kernel/epoll_queue.hpp"

#include "weft/io/kernel/descriptor_age.hpp"
#include "weft/io/kernel/emulated_call.hpp"
#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <thread>

#include <linux/time_types.h>
#include <sys/socket.h>

namespace weft::detail {

namespace {

// Threads of one queue for what has to block; started when they are needed.
constexpr unsigned helpers_max = 16;

// Calls in a row that need not look for edges, because they have completed something by themselves.
constexpr unsigned looks_spared_max = 8;

constexpr std::size_t edges_max = 256;

// What read(2) and its like move at most: as a result it is a positive number.
constexpr unsigned kernel_transfer_max = 0x7ffff000;

}  // namespace

epoll_queue::epoll_queue(kernel& owner, const queue_options& options)
    : owner_(owner), memory_(options), helpers_(owner, helpers_max) {
  if (!entries_.reserve()) throw std::bad_alloc();
}

// --- Entering ------------------------------------------------------------------------------------

int epoll_queue::enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept {
  WEFT_ASSERT(std::this_thread::get_id() == opener_,
              "a ring was entered by a thread that is not its owner");
  flush();
  take_from_helpers();
  go_on();
  const unsigned taken = take_all(submissions);
  expire();
  int res = static_cast<int>(taken);
  if (taken == submissions && wait && !memory_.has_unread()) {
    const int slept = sleep(deadline_ns);
    if (taken == 0) res = slept;
  } else if (!memory_.has_unread() || ++looks_spared_ >= looks_spared_max) {
    // Without memory, too: what completes gives some back.
    if (entries_.size() != 0) look(0);
  }
  if (taken == 0 && submissions != 0) res = -ENOMEM;
  memory_.set_flags((finished_.empty() ? 0 : IORING_SQ_CQ_OVERFLOW) |
                    (entries_.size() != 0 ? IORING_SQ_TASKRUN : 0));
  return res;
}

/// Until a completion, the doorbell or the deadline. 0, -ETIME or -EINTR.
int epoll_queue::sleep(std::int64_t deadline_ns) noexcept {
  for (bool rung = rung_; !rung; rung = rung_) {
    const std::int64_t until = std::min(deadline_ns, timeouts_.next_deadline());
    std::int64_t timeout_ns = -1;
    if (!again_.empty())
      timeout_ns = 0;
    else if (until != no_deadline)
      timeout_ns = std::max<std::int64_t>(0, until - owner_.now());
    const int found = look(timeout_ns);
    take_from_helpers();
    go_on();
    expire();
    if (memory_.has_unread()) break;
    if (found < 0) return found;
    if (deadline_ns != no_deadline && owner_.now() >= deadline_ns) return -ETIME;
  }
  rung_ = false;
  return 0;
}

int epoll_queue::look(std::int64_t timeout_ns) noexcept {
  looks_spared_ = 0;
  std::array<epoll_event, edges_max> edges;
  const int count = descriptors_.wait(edges, timeout_ns);
  for (int i = 0; i < count; ++i) {
    const epoll_event& edge = edges[static_cast<std::size_t>(i)];
    if (watched_descriptors::is_doorbell(edge))
      rung_ |= called_.exchange(false, std::memory_order_acquire);  // sync: B1
    else if (watched* const w = descriptors_.note(edge))
      handle(*w, edge.events);
  }
  return count;
}

void epoll_queue::handle(watched& w, std::uint32_t events) noexcept {
  if (w.waiting.empty()) return descriptors_.note_unwanted(w);
  pending_entry* next = nullptr;
  for (pending_entry* e = w.waiting.oldest(); e != nullptr; e = next) {
    next = e->following;
    continue_on_edge(*e, w, events);
  }
}

void epoll_queue::go_on() noexcept {
  pending_list due;
  again_.move_to(due);
  while (pending_entry* const e = due.oldest()) {
    due.remove(*e);
    advance(*e, *descriptors_.known(e->sqe->fd));
  }
}

void epoll_queue::expire() noexcept {
  if (timeouts_.empty()) return;
  const std::int64_t now = owner_.now();
  while (timer* const due = timeouts_.pop_expired(now)) {
    auto& e = static_cast<pending_entry&>(*due);
    if (e.kind == call_kind::timeout)
      finish(e, -ETIME);
    else
      advance(e, *descriptors_.known(e.sqe->fd));
  }
}

// --- Taking entries ------------------------------------------------------------------------------

/// How many there was memory for.
unsigned epoll_queue::take_all(unsigned submissions) noexcept {
  unsigned taken = 0;
  while (taken < submissions && entries_.reserve() && take(memory_.oldest_entry())) {
    memory_.pop_entry();
    ++taken;
  }
  return taken;
}

/// False without memory: then the entry stays where it is.
bool epoll_queue::take(const io_uring_sqe& sqe) noexcept {
  const call_kind kind = call_kind_of(sqe);
  switch (kind) {
  case call_kind::unknown:
    complete(sqe, -EINVAL);
    return true;
  case call_kind::itself:
    complete(sqe, do_itself(sqe));
    return true;
  case call_kind::timeout:
    start_timeout(entries_.add(sqe, kind));
    return true;
  case call_kind::close:
    start_close(entries_.add(sqe, kind));
    return true;
  case call_kind::helper:
    send_to_helper(entries_.add(sqe, kind));
    return true;
  case call_kind::poll:
  case call_kind::plain:
  case call_kind::socket:
  case call_kind::connect:
  case call_kind::transfer:
    return take_on_descriptor(sqe, kind);
  }
  return true;
}

bool epoll_queue::take_on_descriptor(const io_uring_sqe& sqe, call_kind kind) noexcept {
  const int error = descriptors_.know(sqe.fd);
  if (error == -ENOMEM) return false;
  if (error != 0) {
    complete(sqe, error);
    return true;
  }
  watched& w = *descriptors_.known(sqe.fd);
  w.unwanted = 0;
  if (kind != call_kind::plain) {
    pending_entry& e = entries_.add(sqe, kind);
    e.sqe->len = std::min(e.sqe->len, kernel_transfer_max);
    advance(e, w);
    return true;
  }
  const int res = call_once(sqe, w);
  if (res != -EAGAIN)
    complete(sqe, res);
  else
    wait_for(entries_.add(sqe, kind), w);
  return true;
}

int epoll_queue::do_itself(const io_uring_sqe& sqe) noexcept {
  switch (sqe.opcode) {
  case IORING_OP_PROVIDE_BUFFERS:
    return buffers_.provide(sqe);
  case IORING_OP_REMOVE_BUFFERS:
    return buffers_.remove(sqe);
  case IORING_OP_SHUTDOWN:
    return shut_down(sqe.fd, static_cast<int>(sqe.len));
  case IORING_OP_ASYNC_CANCEL:
    return cancel(sqe.addr, -1);
  case IORING_OP_TIMEOUT_REMOVE:
    return cancel(sqe.addr, IORING_OP_TIMEOUT);
  case IORING_OP_POLL_REMOVE:
    return cancel(sqe.addr, IORING_OP_POLL_ADD);
  case IORING_OP_NOP:
    return 0;
  default:
    return call_without_waiting(sqe);  // MSG_DONTWAIT
  }
}

int epoll_queue::shut_down(int fd, int how) noexcept {
  if (::shutdown(fd, how) != 0) return -errno;
  // Of a unix socket that is full epoll would not tell it to the sender.
  watched* const w = descriptors_.known(fd);
  if (w != nullptr && !w->waiting.empty()) {
    w->readable = w->writable = true;
    handle(*w, 0);
  }
  return 0;
}

/// Of operations of one kind, or (-1) of any.
int epoll_queue::cancel(std::uint64_t user_data, int opcode) noexcept {
  pending_entry* const e = entries_.find(user_data, [opcode](const pending_entry& candidate) {
    return candidate.state != entry_state::finished &&
           (opcode < 0 || candidate.sqe->opcode == opcode);
  });
  if (e == nullptr) return -ENOENT;
  if (e->state == entry_state::timing) {
    timeouts_.remove(*e);
  } else if (e->state != entry_state::on_helper) {
    e->list->remove(*e);
  } else {
    if (!helpers_.cancel(*e)) {
      e->stopped = true;
      return -EALREADY;  // a running call is waited for
    }
    --on_helpers_;
  }
  finish(*e, -ECANCELED);
  return 0;
}

void epoll_queue::start_timeout(pending_entry& e) noexcept {
  __kernel_timespec time{};
  std::memcpy(&time, reinterpret_cast<const void*>(e.sqe->addr), sizeof time);
  std::int64_t ns = 0;
  if (time.tv_sec < 0 || time.tv_nsec < 0) return finish(e, -EINVAL);
  if (__builtin_mul_overflow(time.tv_sec, 1'000'000'000, &ns) ||
      __builtin_add_overflow(ns, time.tv_nsec, &ns))
    ns = no_deadline;
  const bool absolute = (e.sqe->timeout_flags & IORING_TIMEOUT_ABS) != 0;
  if (!absolute && __builtin_add_overflow(ns, owner_.now(), &ns)) ns = no_deadline;
  e.state = entry_state::timing;
  e.deadline_ns = ns;
  timeouts_.insert(e);
}

void epoll_queue::start_close(pending_entry& e) noexcept {
  const int at_once = closes_at_once(e.sqe->fd);
  if (at_once < 0) return finish(e, at_once);
  age_descriptor(e.sqe->fd);
  if (at_once == 0) return send_to_helper(e);
  finish(e, call_and_wait(*e.sqe));
}

// --- Completing ----------------------------------------------------------------------------------

/// What has never waited.
void epoll_queue::complete(const io_uring_sqe& sqe, int res) noexcept {
  if (has_room()) return memory_.push_completion(sqe.user_data, res, 0);
  finish(entries_.add(sqe, call_kind::itself), res);
}

/// The last completion of an entry that is in no list.
void epoll_queue::finish(pending_entry& e, int res) noexcept {
  e.res = e.transferred == 0 ? res : e.transferred + std::max(res, 0);
  if (has_room()) {
    memory_.push_completion(e.sqe->user_data, e.res, e.flags);
    return entries_.remove(e);
  }
  e.state = entry_state::finished;
  finished_.push(e);
}

void epoll_queue::flush() noexcept {
  while (!finished_.empty() && memory_.has_room()) {
    pending_entry& e = *finished_.oldest();
    memory_.push_completion(e.sqe->user_data, e.res, e.flags);
    finished_.remove(e);
    entries_.remove(e);
  }
}

std::unique_ptr<kernel_queue> open_epoll_queue(kernel& owner, const queue_options& options) {
  return std::make_unique<epoll_queue>(owner, options);
}

}  // namespace weft::detail

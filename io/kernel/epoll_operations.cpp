// SPDX-License-Identifier: MIT
#include "weft/io/kernel/emulated_call.hpp"
#include "weft/io/kernel/epoll_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <mutex>

#include <poll.h>
#include <sys/socket.h>

namespace weft::detail {

namespace {

// Completions that a multishot operation gives before others have their turn.
constexpr int steps_max = 16;

// Until a connect that nothing tells of is tried again: a unix listener's queue is full.
constexpr std::int64_t pause_ns = 1'000'000;

// What a poll hears of without having asked for it.
constexpr std::uint32_t always_told = POLLERR | POLLHUP | POLLRDHUP;

/// Of TCP: whether nothing was left behind by a receive that got `res` bytes.
bool says_empty(const io_uring_sqe& sqe, int res) noexcept {
  return sqe.opcode == IORING_OP_RECV && res > 0 && static_cast<unsigned>(res) < sqe.len &&
         (sqe.msg_flags & MSG_PEEK) == 0;
}

bool has_something(int fd) noexcept {
  pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&asked, 1, 0) != 0;
}

}  // namespace

// --- Operations ----------------------------------------------------------------------------------

/// Goes on with an entry that is in no list.
void epoll_queue::advance(pending_entry& e, watched& w) noexcept {
  const progress p = try_it(e, w);
  if (p == progress::blocked) return wait_for(e, w);
  settle(e, p);
}

/// What is in no list, and is not blocked.
void epoll_queue::settle(pending_entry& e, progress p) noexcept {
  if (p == progress::done) return finish(e, e.res);
  if (p == progress::needs_helper) return send_to_helper(e);
  if (p == progress::needs_time) {
    e.state = entry_state::timing;
    e.deadline_ns = owner_.now() + pause_ns;
    return timeouts_.insert(e);
  }
  e.state = entry_state::again;
  again_.push(e);
}

/// Goes on with one of those that wait for the descriptor.
void epoll_queue::continue_on_edge(pending_entry& e, watched& w, std::uint32_t events) noexcept {
  progress p = progress::blocked;
  if (e.kind == call_kind::poll)
    p = hear(e, events);
  else if (waits_to_write(*e.sqe) ? w.writable : w.readable)
    p = try_it(e, w);
  if (p == progress::blocked) return;
  w.waiting.remove(e);
  settle(e, p);
}

epoll_queue::progress epoll_queue::hear(pending_entry& e, std::uint32_t events) noexcept {
  const std::uint32_t seen = events & (e.sqe->poll32_events | always_told);
  if (seen == 0) return progress::blocked;
  e.res = static_cast<int>(seen);
  if (!is_multishot(*e.sqe)) return progress::done;
  if (!has_room()) return progress::gives_way;  // it asks anew, and is told
  memory_.push_completion(e.sqe->user_data, e.res, IORING_CQE_F_MORE);
  return progress::blocked;
}

epoll_queue::progress epoll_queue::try_it(pending_entry& e, watched& w) noexcept {
  switch (e.kind) {
  case call_kind::poll:
    return poll(e);
  case call_kind::connect:
    return connect(e);
  case call_kind::plain:
    e.res = call_once(*e.sqe, w);
    return e.res == -EAGAIN ? progress::blocked : progress::done;
  default:
    return call(e, w);
  }
}

epoll_queue::progress epoll_queue::poll(pending_entry& e) noexcept {
  if (is_multishot(*e.sqe))
    return progress::blocked;  // epoll's first edge is what there is already
  pollfd asked{.fd = e.sqe->fd,
               .events = static_cast<short>(e.sqe->poll32_events | always_told),
               .revents = 0};
  if (::poll(&asked, 1, 0) <= 0) return progress::blocked;
  e.res = (asked.revents & POLLNVAL) != 0 ? -EBADF : asked.revents;
  return progress::done;
}

epoll_queue::progress epoll_queue::connect(pending_entry& e) noexcept {
  e.res = connect_without_waiting(*e.sqe);
  if (e.res == -EINPROGRESS || e.res == -EALREADY) {
    e.started = true;
    return progress::blocked;
  }
  if (e.res == -EAGAIN) return progress::needs_time;
  if (e.started && e.res == -EISCONN) e.res = 0;
  return progress::done;
}

/// -EAGAIN when it has to wait.
int epoll_queue::call_once(const io_uring_sqe& sqe, watched& w) noexcept {
  bool& ready = waits_to_write(sqe) ? w.writable : w.readable;
  if (!ready && watched_descriptors::is_trusted(w)) return -EAGAIN;
  const int res = call_without_waiting(sqe);
  if (res == -EAGAIN) {
    ready = false;  // W1
    // What is over can be read still: a socket that is full says nothing of that.
    if (!waits_to_write(sqe)) w.over = false;
  } else if (says_empty(sqe, res) && w.tcp && !w.over) {
    ready = false;  // W1
  }
  return res;
}

epoll_queue::progress epoll_queue::call(pending_entry& e, watched& w) noexcept {
  const bool multishot = is_multishot(*e.sqe);
  const bool selects = (e.sqe->flags & IOSQE_BUFFER_SELECT) != 0;
  for (int steps = 0;; ++steps) {
    if (multishot && (!has_room() || steps == steps_max)) return progress::gives_way;
    io_uring_sqe filled;
    if (selects && !select_buffer(e, filled)) {
      // Whoever has had buffers is told when there is something for the next one.
      if (e.started && !has_something(e.sqe->fd)) {
        w.readable = w.over = false;  // W1
        return progress::blocked;
      }
      e.res = -ENOBUFS;
      return progress::done;
    }
    const io_uring_sqe& sqe = selects ? filled : *e.sqe;
    const int res = call_once(sqe, w);
    if (res == -EAGAIN) return progress::blocked;
    if (res == -EOPNOTSUPP && e.kind == call_kind::transfer) {
      // Cannot be tried: it may only block a helper, and not before epoll has said something.
      if (e.started) return progress::needs_helper;
      e.started = true;
      return progress::blocked;
    }
    e.res = res;
    if (goes_on_after(sqe, res)) {
      e.transferred += res;
      advance_entry(*e.sqe, res);
      continue;
    }
    unsigned flags = 0;
    if (selects && res > 0) {
      flags = IORING_CQE_F_BUFFER | unsigned{buffers_.next_of(sqe.buf_group)->id}
                                        << IORING_CQE_BUFFER_SHIFT;
      buffers_.take_next_of(sqe.buf_group);
    }
    const bool stays = multishot && (res > 0 || (res == 0 && sqe.opcode == IORING_OP_ACCEPT));
    if (!stays) {
      e.flags = flags;
      return progress::done;
    }
    memory_.push_completion(sqe.user_data, res, flags | IORING_CQE_F_MORE);
    e.started = true;
  }
}

bool epoll_queue::select_buffer(const pending_entry& e, io_uring_sqe& filled) const noexcept {
  const provided_buffers::buffer* const next = buffers_.next_of(e.sqe->buf_group);
  if (next == nullptr) return false;
  filled = *e.sqe;
  filled.addr = next->address;
  filled.len = e.sqe->len == 0 ? next->size : std::min(e.sqe->len, next->size);
  return true;
}

void epoll_queue::wait_for(pending_entry& e, watched& w) noexcept {
  // Numbers of sockets are closed through the kernel. Of others nothing that is known holds.
  const bool ours = e.kind != call_kind::transfer && e.kind != call_kind::poll;
  e.state = entry_state::waiting;
  if (!ours || e.kind == call_kind::connect || !watched_descriptors::is_trusted(w)) {
    const int error = descriptors_.watch(w, ours, orphans_);
    if (error == -EPERM && e.kind == call_kind::transfer) return send_to_helper(e);
    if (error == -EPERM && e.kind == call_kind::poll) return wait_for_nothing(e);
    if (error != 0) return finish(e, error);
  }
  w.waiting.push(e);
}

/// A poll of what is always ready.
void epoll_queue::wait_for_nothing(pending_entry& e) noexcept {
  const unsigned ready = e.sqe->poll32_events & (POLLIN | POLLOUT);
  if (ready != 0) return finish(e, static_cast<int>(ready));
  orphans_.push(e);
}

// --- Helpers -------------------------------------------------------------------------------------

void epoll_queue::send_to_helper(pending_entry& e) noexcept {
  e.state = entry_state::on_helper;
  // Without a single thread it blocks the worker: late is better than never.
  if (helpers_.submit(e) == 0) {
    ++on_helpers_;
  } else {
    e.res = call_and_wait(*e.sqe);
    take_from_helper(e);
  }
}

void epoll_queue::take_from_helper(pending_entry& e) noexcept {
  if (e.res != -EAGAIN || e.kind != call_kind::transfer) return finish(e, e.res);
  if (e.stopped) return finish(e, -ECANCELED);
  // Somebody else was there first: a descriptor that doesn't block waits like any other.
  e.started = false;
  advance(e, *descriptors_.known(e.sqe->fd));
}

void epoll_queue::run_on_helper(helper_job& job) noexcept {
  auto& e = static_cast<pending_entry&>(job);
  epoll_queue& queue = *e.queue;
  e.res = call_and_wait(*e.sqe);
  {
    const std::lock_guard lock(queue.done_lock_);
    queue.done_.push(e);
  }
  queue.descriptors_.ring_doorbell();
}

void epoll_queue::take_from_helpers() noexcept {
  if (on_helpers_ == 0) return;
  pending_list done;
  {
    const std::lock_guard lock(done_lock_);
    done_.move_to(done);
  }
  while (pending_entry* const e = done.oldest()) {
    done.remove(*e);
    --on_helpers_;
    take_from_helper(*e);
  }
}

}  // namespace weft::detail

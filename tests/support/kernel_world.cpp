// SPDX-License-Identifier: MIT
#include "support/kernel_world.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace weft::tests {

namespace {

/// Waits, at most a second, until one of `events` is there.
void until(int fd, int events) {
  pollfd p{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  (void)::poll(&p, 1, 1'000);
}

int unread(int fd) {
  int count = 0;
  return ::ioctl(fd, FIONREAD, &count) == 0 ? count : 0;
}

/// Waits, at most a second or so, until that many bytes can be read.
void until_unread(int fd, int count) {
  for (int i = 0; i < 1'000 && unread(fd) < count; ++i) (void)::poll(nullptr, 0, 1);
}

owned_fd unix_listener() {
  owned_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A name that the system chooses. Connections to it are there when connect() returns.
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family) == 0);
  REQUIRE(::listen(fd, 128) == 0);
  return fd;
}

struct unix_name {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }
};

unix_name name_of(int fd) {
  unix_name name;
  REQUIRE(::getsockname(fd, name.generic(), &name.size) == 0);
  return name;
}

/// Writes from the far end, and waits until it is at the near one.
void write_far(const fd_pair& pair, std::string_view text) {
  const int before = unread(pair.near);
  const ssize_t n = ::send(pair.far, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) until_unread(pair.near, before + static_cast<int>(n));
}

std::string in_quotes(std::string_view bytes) {
  std::string text(" \"");
  for (const char c : bytes) text += c < ' ' ? static_cast<char>('0' + c % 8) : c;  // of a counter
  return text + '"';
}

std::vector<history_event> without_repetitions(const std::vector<history_event>& events) {
  std::vector<history_event> once;
  for (const history_event& e : events) {
    if (once.empty() || once.back().text != e.text) once.push_back(e);
  }
  return once;
}

}  // namespace

kernel_world::kernel_world(kernel& k, const history* guide, std::int64_t patience)
    : kernel_(k), guide_(guide), patience_(patience) {
  at_ = owned_fd(::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  file_ = owned_fd(::openat(at_, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(file_ >= 0);
  listener_ = unix_listener();
  counter_ = event_counter();
  renew_pipe();
  for (std::size_t i = 0; i < connections_.size(); ++i) renew(connections_[i], i != 0);
  for (unsigned i = 0; i < buffers; ++i) taken_.push_back(i);
  queue_.emplace(k);
}

void kernel_world::renew(connection& c, bool tcp) {
  if (c.tcp && c.pair.far >= 0) reset_at_close(c.pair.far);  // many worlds would use up the ports
  c = connection{};
  c.tcp = tcp;
  c.pair = tcp ? tcp_pair() : unix_pair();
}

void kernel_world::renew_pipe() {
  // Through the kernel: then it knows that the number is another one's.
  if (pipe_.near >= 0) (void)kernel_.close(pipe_.near.release());
  pipe_ = pipe_pair();
}

kernel_world::operation& kernel_world::made(const program_step& s, const void* on, shape form) {
  auto op = std::make_unique<operation>();
  op->step = s.number;
  op->on = on;
  op->form = form;
  operation& place = *op;
  // Its id is known when it is started: ids are counted.
  const raw_queue::id next = queue_->last_id() + 1;
  waiting_.emplace(next, std::move(op));
  return place;
}

template <class... Parameters>
kernel_world::operation& kernel_world::start(operation& op,
                                             void (*prepare)(io_uring_sqe*, Parameters...),
                                             std::type_identity_t<Parameters>... arguments) {
  op.id = queue_->start(prepare, arguments...);
  return op;
}

template <class... Parameters>
void kernel_world::finish(operation& op, void (*prepare)(io_uring_sqe*, Parameters...),
                          std::type_identity_t<Parameters>... arguments) {
  const raw_queue::id id = start(op, prepare, arguments...).id;
  const std::int64_t deadline = kernel_.now() + patience_;
  look();
  while (waiting_.count(id) != 0 && kernel_.now() < deadline) {
    queue_->enter(true, deadline);
    look();
  }
  if (waiting_.count(id) != 0) lost_ = true;
}

void kernel_world::choose_buffer() {
  queue_->newest().flags |= IOSQE_BUFFER_SELECT;
  queue_->newest().buf_group = group;
}

bool kernel_world::waits(const void* on) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [on](const auto& entry) { return entry.second->on == on; });
}
bool kernel_world::receiving(const void* on) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [on](const auto& entry) {
    return entry.second->on == on && entry.second->receives;
  });
}
bool kernel_world::polled(const void* on) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [on](const auto& entry) {
    return entry.second->on == on && entry.second->polls;
  });
}
bool kernel_world::sending(const void* on) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [on](const auto& entry) {
    return entry.second->on == on && entry.second->sends;
  });
}
kernel_world::operation* kernel_world::waiting_of(int step) {
  for (const auto& [id, op] : waiting_) {
    if (op->step == step) return op.get();
  }
  return nullptr;
}

void kernel_world::look() {
  queue_->settle();
  std::vector<raw_queue::id> all;
  for (const auto& [id, op] : waiting_) all.push_back(id);
  for (const raw_queue::id id : all) {
    while (queue_->arrived(id)) {
      const completion c = queue_->next(id);
      note(*waiting_.at(id), c);
      if (!c.more()) waiting_.erase(id);
    }
  }
  if (taken_.size() == buffers) end_choosing();
}

/// Nothing is left for them to receive into: some notice that at once, some with the next bytes.
void kernel_world::end_choosing() {
  for (const auto& [id, op] : waiting_) {
    if (!op->chooses || op->ends) continue;
    op->ends = true;
    (void)queue_->cancel(id);
    return look();
  }
}

bool kernel_world::guided(int step) const {
  if (guide_ == nullptr) return true;
  for (const auto& [number, events] : guide_->operations) {
    const auto in_step = [step](const history_event& e) { return e.step == step; };
    const auto expected = std::count_if(events.begin(), events.end(), in_step);
    if (expected == 0) continue;
    const auto mine = story_.operations.find(number);
    if (mine == story_.operations.end()) return false;
    const auto found = std::count_if(mine->second.begin(), mine->second.end(), in_step);
    const bool repeats = !events.empty() && events.front().text.front() == 'P';
    if (repeats ? found == 0 : found < expected) return false;
  }
  return true;
}

void kernel_world::look_until(int step) {
  look();
  const std::int64_t deadline = kernel_.now() + patience_;
  while (!guided(step) && kernel_.now() < deadline) {
    queue_->enter(true, deadline);
    look();
  }
  if (!guided(step)) lost_ = true;
}

void kernel_world::note(operation& op, const completion& c) {
  std::string text(op.polls_on ? "P" : "");
  const auto size = static_cast<std::size_t>(std::max(c.res, 0));
  const bool none_left = op.chooses && taken_.size() == buffers;
  if (none_left && (c.res == -ENOBUFS || c.res == -ECANCELED)) {
    text += "no buffer is left";
  } else if (op.polls && c.res > 0) {
    // Whether an error is still there depends on who hears of it first: a receive takes it away.
    text += std::to_string(c.res & ~POLLERR);
  } else if (op.form == shape::descriptor && c.res >= 0) {
    ::close(c.res);
    text += "a descriptor";
  } else if (op.form == shape::big_send && c.res > 0) {
    text += size == much ? "all of it" : "some of it";
  } else {
    text += std::to_string(c.res);
  }
  if (op.form == shape::bytes) text += in_quotes({op.buffer.data(), size});
  if (op.form == shape::size_of_file && c.res == 0)
    text += " size " + std::to_string(op.found.stx_size);
  if (c.has_buffer()) {
    REQUIRE(c.buffer() < buffers);
    text += " in a buffer" + in_quotes({chosen_[c.buffer()].data(), size});
    taken_.push_back(c.buffer());
  }
  if (c.more()) text += " and more";
  if (op.form == shape::big_send || op.form == shape::counted_send) {
    for (connection& one : connections_) {
      if (op.on == &one) one.sent += size;
    }
  }
  story_.operations[op.step].push_back({step_, text});
}

void kernel_world::drain(connection& c) {
  if (c.pair.far < 0) return;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t n = ::recv(c.pair.far, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n <= 0) return;
    c.received += static_cast<std::size_t>(n);
    if (!c.big) c.text.append(piece.data(), static_cast<std::size_t>(n));
  }
}

void kernel_world::settle_far(const connection& c) {
  if (c.pair.far >= 0 && !c.big) until_unread(c.pair.far, static_cast<int>(c.sent - c.received));
}

history kernel_world::run(const program& p) {
  for (const program_step& s : p) {
    step_ = s.number;
    if (perform(s) && s.joined) continue;
    look_until(step_);
    if (lost_) break;
  }
  step_ = at_end;
  if (!lost_) look_until(step_ - 1);
  close_world();
  return std::move(story_);
}

/// False when the step has nothing to do in this state of the world.
bool kernel_world::perform(const program_step& s) {
  const std::size_t before = waiting_.size();
  if (s.kind <= step_kind::close)
    perform_on_socket(s, connections_[s.slot]);
  else if (s.kind <= step_kind::counter_write)
    perform_on_pipe(s);
  else if (s.kind >= step_kind::file_write)
    perform_on_file(s);
  else
    perform_elsewhere(s);
  return waiting_.size() > before;
}

void kernel_world::perform_on_socket(const program_step& s, connection& c) {
  const std::size_t size = s.value % 20 + 1;
  const bool can_receive = !receiving(&c) && !polled(&c);
  const bool can_send = !sending(&c) && (!c.tcp || c.pair.far >= 0);
  switch (s.kind) {
  case step_kind::receive:
  case step_kind::receive_whole:
    if (can_receive) {
      operation& op = made(s, &c, shape::bytes);
      op.receives = true;
      start(op, io_uring_prep_recv, c.pair.near, op.buffer.data(), size,
            s.kind == step_kind::receive_whole ? MSG_WAITALL : 0);
    }
    return;
  case step_kind::receive_chosen:
    if (can_receive) {
      operation& op = made(s, &c, shape::chosen);
      op.receives = op.chooses = true;
      start(op, io_uring_prep_recv, c.pair.near, nullptr, 0, 0);
      choose_buffer();
    }
    return;
  case step_kind::receive_on:
    // Of TCP only: whether one that has taken the last buffer notices at once is not promised, and
    // differs by the kind of socket.
    if (can_receive && c.tcp) {
      operation& op = made(s, &c, shape::chosen);
      op.receives = op.chooses = true;
      start(op, io_uring_prep_recv_multishot, c.pair.near, nullptr, 0, 0);
      choose_buffer();
    }
    return;
  case step_kind::send:
    if (can_send && !c.big) {
      operation& op = made(s, &c, shape::counted_send);
      op.sends = true;
      start(op, io_uring_prep_send, c.pair.near, small_.data() + s.value / 2, size, MSG_NOSIGNAL);
    }
    return;
  case step_kind::send_much:
    if (can_send && !c.tcp && !c.peer_ended) {
      operation& op = made(s, &c, shape::big_send);
      op.sends = true;
      c.big = true;
      start(op, io_uring_prep_send, c.pair.near, much_.data(), much, MSG_NOSIGNAL | MSG_WAITALL);
    }
    return;
  case step_kind::peer_writes:
    if (c.pair.far >= 0) write_far(c.pair, std::string_view(small_).substr(s.value / 8, size * 2));
    return;
  case step_kind::peer_ends:
    if (c.pair.far < 0 || sending(&c)) return;
    c.peer_ended = true;
    (void)::shutdown(c.pair.far, SHUT_WR);
    until(c.pair.near, POLLRDHUP);
    return;
  case step_kind::peer_closes:
    if (c.pair.far < 0) return;
    settle_far(c);
    c.pair.far.close();
    until(c.pair.near, POLLRDHUP);
    return;
  case step_kind::peer_drains:
    for (int quiet = 0; quiet < 2; ++quiet) {
      const std::size_t before = c.received;
      drain(c);
      look();
      if (c.received != before) quiet = -1;
    }
    return;
  case step_kind::shutdown:
    finish(made(s, nullptr, shape::plain), io_uring_prep_shutdown, c.pair.near, SHUT_WR);
    return;
  case step_kind::close:
    if (waits(&c)) return;
    if (s.value % 2 == 0)
      finish(made(s, nullptr, shape::plain), io_uring_prep_close, c.pair.near.release());
    else
      (void)kernel_.close(c.pair.near.release());
    renew(c, c.tcp);
    return;
  default:
    return;
  }
}

void kernel_world::perform_on_pipe(const program_step& s) {
  const auto size = s.value % 20 + 1;
  const std::uint64_t offset = s.slot == 0 ? 0 : UINT64_MAX;
  switch (s.kind) {
  case step_kind::pipe_read:
    if (!receiving(&pipe_) && !polled(&pipe_)) {
      operation& op = made(s, &pipe_, shape::bytes);
      op.receives = true;
      start(op, io_uring_prep_read, pipe_.near, op.buffer.data(), size, offset);
    }
    return;
  case step_kind::pipe_write:
    if (pipe_.far >= 0 && !sending(&pipe_)) {
      operation& op = made(s, &pipe_, shape::plain);
      op.sends = true;
      start(op, io_uring_prep_write, pipe_.far, small_.data(), size, offset);
    }
    return;
  case step_kind::pipe_put:
    if (pipe_.far >= 0) put(pipe_.far, std::string_view(small_).substr(s.value / 8, size));
    return;
  case step_kind::pipe_ends:
    if (pipe_.far >= 0)
      pipe_.far.close();
    else if (!waits(&pipe_))
      renew_pipe();
    return;
  case step_kind::counter_read:
    if (!receiving(&counter_) && !polled(&counter_)) {
      operation& op = made(s, &counter_, shape::bytes);
      op.receives = true;
      start(op, io_uring_prep_read, counter_, op.buffer.data(), 8, offset);
    }
    return;
  case step_kind::counter_write:
    finish(made(s, nullptr, shape::plain), io_uring_prep_write, counter_, &one_, 8, offset);
    return;
  default:
    return;
  }
}

void kernel_world::perform_on_file(const program_step& s) {
  const auto size = s.value % 20 + 1;
  operation& op = made(s, nullptr,
                       s.kind == step_kind::file_read ? shape::bytes
                       : s.kind == step_kind::open    ? shape::descriptor
                       : s.kind == step_kind::stat    ? shape::size_of_file
                                                      : shape::plain);
  op.path = name(s.value);
  op.other_path = name(s.value / 4);
  const char* const path = op.path.c_str();
  switch (s.kind) {
  case step_kind::file_write:
    return finish(op, io_uring_prep_write, file_, small_.data(), size, s.value);
  case step_kind::file_read:
    return finish(op, io_uring_prep_read, file_, op.buffer.data(), size, s.value);
  case step_kind::file_append:
    return finish(op, io_uring_prep_write, file_, small_.data(), size, UINT64_MAX);
  case step_kind::open:
    return finish(op, io_uring_prep_openat, at_, path,
                  O_CLOEXEC | (s.slot == 0   ? O_RDONLY
                               : s.slot == 1 ? O_WRONLY | O_CREAT
                                             : O_WRONLY | O_CREAT | O_EXCL),
                  0600);
  case step_kind::stat:
    return finish(op, io_uring_prep_statx, at_, path, 0, STATX_SIZE, &op.found);
  case step_kind::unlink:
    return finish(op, io_uring_prep_unlinkat, at_, path, s.slot == 0 ? AT_REMOVEDIR : 0);
  case step_kind::rename:
    return finish(op, io_uring_prep_renameat, at_, path, at_, op.other_path.c_str(), 0);
  case step_kind::mkdir:
    return finish(op, io_uring_prep_mkdirat, at_, path, 0700);
  default:
    return finish(op, io_uring_prep_fsync, s.slot == 0 ? int{at_} : int{file_}, 0);
  }
}

void kernel_world::perform_elsewhere(const program_step& s) {
  switch (s.kind) {
  case step_kind::poll:
  case step_kind::poll_on: {
    const bool on = s.kind == step_kind::poll_on;
    connection& c = connections_[s.slot];
    const void* thing = &c;
    int fd = c.pair.near;
    // TCP's timers make edges of their own, which a poll that goes on may tell of.
    if (s.value % 4 == 0 || (on && c.tcp)) {
      thing = &counter_;
      fd = counter_;
    } else if (s.value % 4 == 1 && !on) {
      thing = s.value % 8 == 1 ? static_cast<const void*>(&pipe_) : &listener_;
      fd = s.value % 8 == 1 ? int{pipe_.near} : int{listener_};
    }
    if (receiving(thing)) return;
    operation& op = made(s, thing, shape::plain);
    op.polls = true;
    op.polls_on = on;
    start(op, on ? io_uring_prep_poll_multishot : io_uring_prep_poll_add, fd,
          s.value % 3 == 0 ? POLLIN | POLLRDHUP : POLLIN);
    return;
  }
  case step_kind::accept:
  case step_kind::accept_on:
    if (!receiving(&listener_) && !polled(&listener_)) {
      operation& op = made(s, &listener_, shape::descriptor);
      op.receives = true;
      start(op, s.kind == step_kind::accept ? io_uring_prep_accept : io_uring_prep_multishot_accept,
            listener_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    return;
  case step_kind::client_connects:
  case step_kind::connect: {
    clients_.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    unix_name name = name_of(listener_);
    if (s.kind == step_kind::connect)
      finish(made(s, nullptr, shape::plain), io_uring_prep_connect, clients_.back(), name.generic(),
             name.size);
    else
      REQUIRE(::connect(clients_.back(), name.generic(), name.size) == 0);
    return;
  }
  case step_kind::connect_nowhere: {
    owned_fd client = tcp_socket();
    const owned_fd silent = silent_port();
    sockaddr_in nobody = address_of(silent);
    finish(made(s, nullptr, shape::plain), io_uring_prep_connect, client, generic(nobody),
           sizeof nobody);
    (void)kernel_.close(client.release());
    return;
  }
  case step_kind::timeout_short:
    finish(made(s, nullptr, shape::plain), io_uring_prep_timeout, &short_, 0, 0);
    return;
  case step_kind::timeout_long:
    start(made(s, &long_, shape::plain), io_uring_prep_timeout, &long_, 0, 0);
    return;
  case step_kind::timeout_remove:
  case step_kind::cancel: {
    // An id that was, or is: of a step that never started anything it is one that will never be.
    operation* const target = waiting_of(s.target);
    if (target != nullptr && std::exchange(target->cancel_started, true)) return;
    const std::uint64_t id = target != nullptr ? target->id : UINT64_MAX - 2;
    if (s.kind == step_kind::cancel)
      start(made(s, nullptr, shape::plain), io_uring_prep_cancel64, id, 0);
    else
      start(made(s, nullptr, shape::plain), io_uring_prep_timeout_remove, id, 0);
    return;
  }
  case step_kind::provide:
    if (!taken_.empty()) {
      const auto number = taken_.front();
      taken_.erase(taken_.begin());
      start(made(s, nullptr, shape::plain), io_uring_prep_provide_buffers, chosen_[number].data(),
            static_cast<int>(buffer_size), 1, group, static_cast<int>(number));
    }
    return;
  case step_kind::take_back:
    // More than the last one: then it is known which they were.
    for (const auto& [id, op] : waiting_) {
      if (op->form == shape::chosen) return;
    }
    if (taken_.size() < buffers) {
      taken_.clear();
      for (unsigned i = 0; i < buffers; ++i) taken_.push_back(i);
      start(made(s, nullptr, shape::plain), io_uring_prep_remove_buffers, 100, group);
    }
    return;
  default:
    return;
  }
}

void kernel_world::close_world() {
  if (lost_) story_.end.emplace_back("something is waited for in vain");
  std::vector<raw_queue::id> left;
  for (const auto& [id, op] : waiting_) left.push_back(id);
  for (const raw_queue::id id : left) {
    (void)queue_->cancel(id);
    look();
  }
  story_.end.push_back(std::to_string(waiting_.size()) + " left after their cancels");
  for (connection& c : connections_) {
    settle_far(c);
    drain(c);
    if (c.pair.far < 0) continue;
    story_.end.push_back(c.received == c.sent ? "no byte lost" : "bytes lost");
    story_.end.push_back(in_quotes(c.text));
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    std::string text = entry.path().filename();
    text += entry.is_directory() ? "/" : in_quotes(read_file(entry.path()));
    files.push_back(text);
  }
  std::sort(files.begin(), files.end());
  story_.end.insert(story_.end.end(), files.begin(), files.end());
  queue_.reset();
  for (connection& c : connections_) {
    if (!c.tcp) continue;
    reset_at_close(c.pair.near);
    if (c.pair.far >= 0) reset_at_close(c.pair.far);
  }
}

std::string history::text(const program& p) const {
  std::string all;
  for (const program_step& s : p) {
    all += "  " + s.text() + '\n';
    const auto found = operations.find(s.number);
    if (found == operations.end()) continue;
    for (const history_event& e : found->second)
      all += "      in step " + std::to_string(e.step) + ": " + e.text + '\n';
  }
  for (const std::string& line : end) all += "  end: " + line + '\n';
  return all;
}

std::string difference(const history& one, const history& other) {
  std::vector<int> numbers;
  for (const auto& [number, events] : one.operations) numbers.push_back(number);
  for (const auto& [number, events] : other.operations) numbers.push_back(number);
  const auto events_of = [](const history& h, int number) {
    const auto found = h.operations.find(number);
    if (found == h.operations.end()) return std::vector<history_event>();
    const bool repeats = found->second.front().text.front() == 'P';
    return repeats ? without_repetitions(found->second) : found->second;
  };
  for (const int number : numbers) {
    if (events_of(one, number) != events_of(other, number))
      return "the operation of step " + std::to_string(number) + " went another way";
  }
  return one.end != other.end ? "what is left differs" : "";
}

}  // namespace weft::tests

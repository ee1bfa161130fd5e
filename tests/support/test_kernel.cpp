// SPDX-License-Identifier: MIT
#include "support/test_kernel.hpp"

#include "support/test_queue.hpp"
#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

namespace weft::tests {

namespace {

class helper final : public helper_thread {
public:
  helper(void (*body)(void*), void* argument) : thread_(body, argument) {}
  ~helper() override { thread_.join(); }

private:
  std::thread thread_;
};

}  // namespace

test_kernel::~test_kernel() {
  WEFT_ASSERT(queues_.empty(), "a test kernel was destroyed before the scheduler that uses it");
}

std::unique_ptr<kernel_queue> test_kernel::open_queue(const queue_options& options) {
  return std::make_unique<test_queue>(*this, options);
}

std::unique_ptr<helper_thread> test_kernel::start_helper(void (*body)(void*), void* argument) {
  return std::make_unique<helper>(body, argument);
}

void test_kernel::take(test_queue& from, const io_uring_sqe& entry) {
  ++entries;
  if (entry.opcode == IORING_OP_ASYNC_CANCEL) return cancel(from, entry);
  if (entry.opcode == IORING_OP_POLL_ADD && entry.fd == test_queue::doorbell_number)
    return from.poll_doorbell(entry);
  request r{.from = &from,
            .due = now(),
            .result = {},
            .blocked = false,
            .entry = std::make_unique<const io_uring_sqe>(entry)};
  if (entry.opcode == IORING_OP_TIMEOUT) {
    __kernel_timespec time{};
    std::memcpy(&time, reinterpret_cast<const void*>(entry.addr), sizeof time);
    const std::int64_t ns = time.tv_sec * 1'000'000'000 + time.tv_nsec;
    r.due = (entry.timeout_flags & IORING_TIMEOUT_ABS) != 0 ? ns : now() + ns;
    r.result = -ETIME;
  }
  if (on_entry) {
    const entry_plan plan = on_entry(entry);
    if (plan.result) r.result = plan.result;
    if (plan.delay_ns != 0) r.due = plan.delay_ns == never ? never : now() + plan.delay_ns;
  }
  if (r.due <= now())
    attempt(std::move(r));
  else
    keep(std::move(r));
}

void test_kernel::attempt(request r) {
  const std::uint64_t before = world.changes();
  const std::optional<int> res = r.result ? r.result : world.perform(*r.entry);
  if (res) {
    r.from->post(r.entry->user_data, *res);
    changed_.notify_all();
  } else {
    r.due = never;
    r.blocked = true;
    keep(std::move(r));
  }
  if (world.changes() != before) retry_blocked();
}

void test_kernel::retry_blocked() {
  std::uint64_t seen = 0;
  do {
    seen = world.changes();
    const std::set<std::uint64_t> waiting = blocked_;
    for (const std::uint64_t number : waiting) {
      const auto where = requests_.find(number);
      const std::optional<int> res = world.perform(*where->second.entry);
      if (!res) continue;
      const request r = remove(where);
      r.from->post(r.entry->user_data, *res);
      changed_.notify_all();
    }
  } while (world.changes() != seen);
}

void test_kernel::cancel(test_queue& from, const io_uring_sqe& entry) {
  ++cancels;
  const auto finish = [&](std::uint64_t user_data, int res, std::int64_t delay_ns) {
    if (delay_ns == 0) return from.post(user_data, res);
    io_uring_sqe late{};
    late.user_data = user_data;
    keep({.from = &from,
          .due = now() + delay_ns,
          .result = res,
          .blocked = false,
          .entry = std::make_unique<const io_uring_sqe>(late)});
  };
  const auto target = find_target(from, entry.addr);
  if (target == requests_.end()) return finish(entry.user_data, -ENOENT, 0);
  cancel_plan plan;
  plan.target_result = -ECANCELED;
  if (on_cancel) plan = on_cancel(*target->second.entry);
  if (!plan.target_result) return finish(entry.user_data, plan.result, plan.delay_ns);
  const request r = remove(target);
  if (!plan.target_first) finish(entry.user_data, plan.result, plan.delay_ns);
  finish(r.entry->user_data, *plan.target_result, plan.target_delay_ns);
  if (plan.target_first) finish(entry.user_data, plan.result, plan.delay_ns);
}

void test_kernel::keep(request r) {
  const std::uint64_t number = ++last_number_;
  if (r.due != never) due_.emplace(r.due, number);
  if (r.blocked) blocked_.insert(number);
  by_user_data_.emplace(std::pair(r.from, r.entry->user_data), number);
  requests_.emplace(number, std::move(r));
}

test_kernel::request test_kernel::remove(request_map::iterator where) {
  const std::uint64_t number = where->first;
  request r = std::move(where->second);
  due_.erase({r.due, number});
  blocked_.erase(number);
  auto [first, last] = by_user_data_.equal_range({r.from, r.entry->user_data});
  by_user_data_.erase(std::find_if(first, last, [&](auto& e) { return e.second == number; }));
  requests_.erase(where);
  return r;
}

test_kernel::request_map::iterator test_kernel::find_target(const test_queue& from,
                                                            std::uint64_t user_data) {
  const auto found = by_user_data_.find({&from, user_data});
  return found == by_user_data_.end() ? requests_.end() : requests_.find(found->second);
}

void test_kernel::forget(const test_queue& q) noexcept {
  for (auto where = requests_.begin(); where != requests_.end();) {
    const auto next = std::next(where);
    if (where->second.from == &q) remove(where);
    where = next;
  }
}

void test_kernel::expire() {
  while (!due_.empty() && due_.begin()->first <= now())
    attempt(remove(requests_.find(due_.begin()->second)));
}

/// Moves the clock to the next deadline; false when somebody still runs or there is none.
bool test_kernel::jump() {
  std::int64_t next = due_.empty() ? never : due_.begin()->first;
  for (const test_queue* q : queues_) {
    if (!q->waiting_ || q->ready() || q->deadline_ns_ <= now()) return false;
    next = std::min(next, q->deadline_ns_);
  }
  if (next == never) {
    if (alone) detail::fatal("test kernel: every task waits, and nothing can end the wait");
    return false;
  }
  set_now(next);
  expire();
  changed_.notify_all();
  return true;
}

int test_kernel::sleep(std::unique_lock<std::mutex>& lock, test_queue& q,
                       std::int64_t deadline_ns) {
  if (!q.ready() && deadline_ns > now()) {
    ++sleeps;
    if (polled_doorbell && !q.doorbell_poll_) ++deaf_sleeps;
  }
  q.deadline_ns_ = deadline_ns;
  q.waiting_ = true;
  while (!q.ready() && q.deadline_ns_ > now())
    if (!jump()) changed_.wait(lock);
  q.waiting_ = false;
  const bool ready = q.ready();
  if (!polled_doorbell) q.rung_ = false;
  return ready ? 0 : -ETIME;
}

template <class Change>
int test_kernel::change_world(Change change) noexcept {
  const std::lock_guard lock(mutex_);
  const std::uint64_t before = world.changes();
  const int res = change();
  if (world.changes() != before) retry_blocked();
  return res;
}

int test_kernel::socket(int domain, int type, int) noexcept {
  return change_world([&] { return world.socket(domain, type); });
}
int test_kernel::bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  return change_world([&] { return world.bind(fd, address, length); });
}
int test_kernel::listen(int fd, int) noexcept {
  return change_world([&] { return world.listen(fd); });
}
int test_kernel::shutdown(int fd, int how) noexcept {
  return change_world([&] { return world.shutdown(fd, how); });
}
int test_kernel::close(int fd) noexcept {
  return change_world([&] { return world.close(fd); });
}
int test_kernel::set_option(int fd, int, int, const void*, socklen_t) noexcept {
  return change_world([&] { return world.is_open(fd) ? 0 : -EBADF; });
}
int test_kernel::get_option(int fd, int, int, void* value, socklen_t* size) noexcept {
  std::memset(value, 0, *size);
  return change_world([&] { return world.is_open(fd) ? 0 : -EBADF; });
}
int test_kernel::local_address(int fd, sockaddr* address, socklen_t* length) noexcept {
  return change_world([&] { return world.local_address(fd, address, length); });
}
int test_kernel::peer_address(int fd, sockaddr* address, socklen_t* length) noexcept {
  return change_world([&] { return world.peer_address(fd, address, length); });
}
int test_kernel::catch_signals(std::uint64_t set, signal_catch how) noexcept {
  return change_world([&] { return world.catch_signals(set, how); });
}
int test_kernel::release_signals(int fd) noexcept {
  return change_world([&] { return world.release_signals(fd); });
}
int test_kernel::complete_held() noexcept {
  return change_world([&] {
    std::vector<request> held;
    for (auto where = requests_.begin(); where != requests_.end();) {
      const auto next = std::next(where);
      if (where->second.due == never && !where->second.blocked) held.push_back(remove(where));
      where = next;
    }
    for (request& r : held) attempt(std::move(r));
    return static_cast<int>(held.size());
  });
}
int test_kernel::send_signal(int number) noexcept {
  return change_world([&] { return world.send_signal(number); });
}
std::ptrdiff_t test_kernel::read_directory(int, void*, std::size_t) noexcept { return -ENOTDIR; }

}  // namespace weft::tests

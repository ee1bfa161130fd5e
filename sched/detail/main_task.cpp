// SPDX-License-Identifier: MIT
#include "weft/sched/detail/main_task.hpp"

#include "weft/io/caught_signals.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/worker.hpp"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

namespace weft::detail {

struct main_task_base::signal {
  std::mutex mutex;
  std::condition_variable changed;
};

namespace {

guest::ended_fn outside_a_task(guest::ended_fn f) {
  if (current_worker() != nullptr)
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "run was called inside a task, whose thread it would block: "
                            "co_await the task, or weft::on(scheduler, task)");
  return f;
}

}  // namespace

main_task_base::main_task_base(scheduler& home)
    : guest(home, outside_a_task(&main_task_base::set_ended), nullptr),
      signal_(new(std::nothrow) signal) {
  if (signal_ != nullptr) return;
  (void)try_close();
  throw std::bad_alloc();
}

main_task_base::~main_task_base() {
  (void)try_close();  // still open when it was never started
  delete signal_;
}

void main_task_base::wait() noexcept {
  std::unique_lock lock(signal_->mutex);
  signal_->changed.wait(lock, [this] { return ended_; });
}

bool main_task_base::has_ended() const noexcept {
  const std::lock_guard lock(signal_->mutex);
  return ended_;
}

void main_task_base::prepare(child_base& root) {
  home().hold_outside();  // it waits for its start, from the moment on in which it is a guest
  if (!home().admit(*this)) {
    home().release_outside();
    root.drop_owner();
    throw std::system_error(std::error_code(ECANCELED, std::system_category()),
                            "run: the scheduler is shutting down");
  }
  root_ = &root;
}

void main_task_base::launch() noexcept {
  scheduler& there = home();
  root_->start(*this);
  release();
  there.release_outside();
}

void main_task_base::report_deadlock() noexcept {
  on_deadlock([](guest& g, const std::string& report) noexcept {
    auto& self = static_cast<main_task_base&>(g);
    self.deadlocked_ = true;
    try {
      self.deadlock_report_ = report;
    } catch (const std::bad_alloc&) {
      self.deadlock_report_.clear();
    }
    self.request_stop();
  });
}

void main_task_base::throw_if_deadlocked() const {
  if (deadlocked_) throw deadlock(deadlock_report_);
}

void main_task_base::set_ended(guest& g) noexcept {
  auto& self = static_cast<main_task_base&>(g);
  // Told under the lock: the one who waits frees all of this as soon as it gets the lock.
  const std::lock_guard lock(self.signal_->mutex);
  self.ended_ = true;
  self.signal_->changed.notify_all();
}

void main_task_base::rethrow(const std::exception_ptr& e) const {
  if (!is_cancelled(e)) std::rethrow_exception(e);
  throw std::system_error(std::error_code(ECANCELED, std::system_category()),
                          stopped_by_ != 0 ? "run: stopped by " + signal_name(stopped_by_)
                                           : "run: the main task was cancelled");
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/main_task.hpp"

#include "weft/runtime/error.hpp"
#include "weft/runtime/worker.hpp"

namespace weft::detail {

main_task_base::main_task_base(scheduler& home) : guest(home, &main_task_base::set_ended) {
  if (current_worker() != nullptr) {
    (void)try_close();
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "run was called inside a task: it would block the task's own thread; "
                            "co_await the task, or weft::on(scheduler, task)");
  }
}

void main_task_base::begin(child_base& root) {
  if (!home().admit(*this)) {
    (void)try_close();
    root.drop_owner();
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            "run: the scheduler is shutting down");
  }
  root.start(*this);
  release();
}

void main_task_base::set_ended(guest& g) noexcept {
  auto& self = static_cast<main_task_base&>(g);
  const std::lock_guard guard(self.mutex_);
  self.ended_ = true;
  self.changed_.notify_all();
}

void main_task_base::rethrow(const std::exception_ptr& e) {
  if (is_cancelled(e))
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            "run: the main task was cancelled");
  std::rethrow_exception(e);
}

}  // namespace weft::detail

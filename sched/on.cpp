// SPDX-License-Identifier: MIT
#include "weft/sched/on.hpp"

#include "weft/runtime/error.hpp"
#include "weft/runtime/scheduler.hpp"

#include <cerrno>
#include <system_error>

namespace weft::detail {

away::away(scheduler& there, child_base& root, promise_base& caller) noexcept
    : waiter(kind_of<away>), guest(there, &away::come_back, &caller), root_(&root) {
  set_deadline(strand_of(caller).scope().deadline());
}

bool away::await_suspend(std::coroutine_handle<>) noexcept {
  strand& s = strand_of(*promise);
  current_worker()->holds.give_back();  // not under the strand's lock
  if (!s.begin_wait(*this)) return rests(*this, *current_worker());
  if (!guest::home().admit(*this)) {
    s.abort_wait();
    return rests(*this, *current_worker());
  }
  s.home().hold_outside();
  started_ = true;
  root_->start(*this);
  // The task may have ended by now. Then it is this release that completes the wait, which locks
  // the strand.
  s.commit_wait();
  release();
  return true;
}

void away::come_back(guest& g) noexcept {
  auto& self = static_cast<away&>(g);
  scheduler& here = strand_of(*self.promise).home();
  const scheduler::sending keep(here);
  self.waiter::complete();
  here.release_outside();
}

bool away::withdraw(operation& op, worker&) noexcept {
  static_cast<away&>(static_cast<waiter&>(op)).request_stop();
  return false;
}

void throw_from_away(const promise_base& self, const std::exception_ptr& e) {
  const bool stopped_here = self.strand_->stop_requested();
  if (e != nullptr && (stopped_here || !is_cancelled(e))) std::rethrow_exception(e);
  if (stopped_here) throw cancelled();
  throw std::system_error(std::error_code(ECANCELED, std::system_category()),
                          "on: the scheduler is shutting down");
}

}  // namespace weft::detail

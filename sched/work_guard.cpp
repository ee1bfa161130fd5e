// SPDX-License-Identifier: MIT
#include "weft/sched/work_guard.hpp"

#include "weft/runtime/worker.hpp"
#include "weft/sched/detail/hosting.hpp"

#include <system_error>
#include <utility>

namespace weft {

namespace {

scheduler& current_scheduler() {
  detail::worker* const w = detail::current_worker();
  if (w == nullptr)
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "work_guard: this thread runs no task; name the scheduler, as in "
                            "work_guard(pool)");
  return *w->home;
}

}  // namespace

work_guard::work_guard() : work_guard(current_scheduler()) {}

work_guard::work_guard(scheduler& s) noexcept : work_(s.hosting().outside) { work_->hold(); }

work_guard::work_guard(const work_guard& other) noexcept : work_(other.work_) {
  if (work_ != nullptr) work_->hold();
}

work_guard::work_guard(work_guard&& other) noexcept : work_(std::move(other.work_)) {}

work_guard& work_guard::operator=(work_guard other) noexcept {
  work_.swap(other.work_);
  return *this;
}

work_guard::~work_guard() {
  if (work_ != nullptr) work_->release();
}

}  // namespace weft

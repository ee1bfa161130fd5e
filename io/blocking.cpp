// SPDX-License-Identifier: MIT
#include "weft/io/blocking.hpp"

#include "weft/io/helper_pool.hpp"
#include "weft/io/ring.hpp"

namespace weft::detail {

blocking_operation::blocking_operation(void (*call)(void*) noexcept, void* context) noexcept
    : helper_job(&run_on_helper), call_(call), context_(context) {}

bool blocking_operation::start(worker& w) noexcept {
  pool_ = &w.ring->helpers();
  error_ = pool_->submit(*this);
  return error_ == 0;
}

bool blocking_operation::withdraw(operation& op, worker&) noexcept {
  auto& self = static_cast<blocking_operation&>(op);
  self.withdrawn_ = self.pool_->cancel(self);
  return self.withdrawn_;
}

result<void> blocking_operation::finish() noexcept {
  if (withdrawn_) return failure{cancelled_code()};
  if (error_ != 0) return failure{std::error_code(error_, std::system_category())};
  return {};
}

void blocking_operation::run_on_helper(helper_job& job) noexcept {
  auto& self = static_cast<blocking_operation&>(job);
  self.call_(self.context_);
  self.complete();
}

}  // namespace weft::detail

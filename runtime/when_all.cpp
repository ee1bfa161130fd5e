// SPDX-License-Identifier: MIT
#include "weft/runtime/when_all.hpp"

#include "weft/runtime/error.hpp"

namespace weft::detail {

// The parent goes on from the worker's loop, as its newest fork, after others have run.
std::coroutine_handle<> fork_join::rest(record& last, worker& w) noexcept {
  last.node.promise = last.join->parent_;
  w.fork(last.node);
  return std::noop_coroutine();
}

std::coroutine_handle<> fork_join::child_finished(combinator_child& child, worker& w) noexcept {
  auto& self = static_cast<record&>(child);
  self.leave();
  fork_join& join = *self.join;
  promise_base* const parent = join.parent_;
  bool last = false;
  if (w.shared) {
    last = join.left_.fetch_sub(1, std::memory_order_acq_rel) == 1;  // sync: A1
  } else {
    const std::size_t left = join.left_.load(std::memory_order_relaxed) - 1;
    join.left_.store(left, std::memory_order_relaxed);  // relaxed: one thread
    last = left == 0;
  }
  promise_base* next = parent;
  if (last) {
    if (w.budget == 0) [[unlikely]]
      return rest(self, w);
  } else {
    // Without budget the worker's loop takes what is forked, after it has let others run.
    if (w.budget == 0) [[unlikely]]
      return std::noop_coroutine();
    suspended* const sibling = w.pop_fork();
    if (sibling == nullptr) return std::noop_coroutine();
    next = sibling->promise;
  }
  w.switch_task(*next);
  return w.hop(next->self);
}

void first_escape::add(const std::exception_ptr& e) noexcept {
  const bool is_cancel = is_cancelled(e);
  if (first_ != nullptr && (is_cancel || !only_cancelled_)) return;
  first_ = e;
  only_cancelled_ = is_cancel;
}

}  // namespace weft::detail

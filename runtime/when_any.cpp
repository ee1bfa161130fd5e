// SPDX-License-Identifier: MIT
#include "weft/runtime/when_any.hpp"

namespace weft::detail {

std::coroutine_handle<> first_of::child_finished(combinator_child& child, worker& w) noexcept {
  auto& self = static_cast<record&>(child);
  auto& all = static_cast<first_of&>(*self.join);
  const std::exception_ptr* const failure = self.failure(*self.node.promise);
  const bool only_stopped =
      failure != nullptr && all.scope_.stop_is_under_way() && is_cancelled(*failure);
  std::size_t none = nobody;
  if (!only_stopped && all.winner_.compare_exchange_strong(
                           none, self.index, std::memory_order_relaxed, std::memory_order_relaxed))
    all.scope_.request_stop();  // relaxed: the join hands the winner over
  return fork_join::child_finished(child, w);
}

}  // namespace weft::detail

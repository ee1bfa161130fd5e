// SPDX-License-Identifier: MIT
#include "weft/runtime/when_any.hpp"

namespace weft::detail {

void first_of::child_ended(fork_join& join, record& child) noexcept {
  auto& all = static_cast<first_of&>(join);
  const auto index = all.index_of(child);
  const std::exception_ptr* const failure = all.failures_[index](*child.node.promise);
  const bool only_stopped =
      failure != nullptr && all.scope_.stop_is_under_way() && is_cancelled(*failure);
  std::size_t none = nobody;
  if (!only_stopped && all.winner_.compare_exchange_strong(none, index, std::memory_order_relaxed,
                                                           std::memory_order_relaxed))
    all.scope_.request_stop();  // relaxed: the join hands the winner over
}

}  // namespace weft::detail

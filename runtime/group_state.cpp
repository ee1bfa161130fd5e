// SPDX-License-Identifier: MIT
#include "weft/runtime/group_state.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/child.hpp"

#include <mutex>

namespace weft::detail {

void group_state::failed(const std::exception_ptr& e) noexcept {
  if (stop_is_under_way() && is_cancelled(e)) return;
  {
    const std::lock_guard guard(lock_);
    if (first_ == nullptr) {
      first_ = e;
    } else if (others_ != nullptr) {
      if (others_->count_ < group_failures::kept_max) others_->exceptions_[others_->count_] = e;
      ++others_->count_;
    }
  }
  request_stop();
}

void child_base::start(group_state& group) noexcept {
  WEFT_ASSERT(group.try_hold(),
              "spawn on a task group that has ended: spawn from its body or its children");
  group_ = &group;
  line_.enter(group, group.opener());
  line_.set_wrapped();
  strand_ = &line_;
  worker* const w = current_worker();
  if (w != nullptr && w->home == &group.home()) {
    w->ready(node_);
    return;
  }
  start_message_.deliver = [](message& m, worker& here) noexcept {
    here.ready(static_cast<start_message&>(m).child->node_);
  };
  start_message_.child = this;
  group.home().send(start_message_);
}

group_state& child_base::finish_child(const std::exception_ptr* failure) noexcept {
  line_.leave();
  group_state& group = *group_;
  if (failure != nullptr) group.failed(*failure);
  waiter* const w = waiter_.exchange(ended(), std::memory_order_acq_rel);  // sync: C1
  if (w != nullptr) w->complete();
  return group;
}

void child_base::release(group_state& group) noexcept { group.release(); }

waiter* child_base::ended() noexcept {
  alignas(waiter) static constinit std::byte mark[sizeof(waiter)] = {};
  return reinterpret_cast<waiter*>(mark);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/runtime/fork_join.hpp"

namespace weft::detail {

promise_base& fork_join::begin_line(forked& taken, worker& w) noexcept {
  auto& join = static_cast<fork_join&>(taken);
  ++join.lines_;
  record& r = *join.next_++;
  promise_base& child = join.enter(r);
  if (join.next_ != join.end_ && !w.fork(join)) [[unlikely]]
    join.ready_all(w);
  return child;
}

promise_base& fork_join::resume_parent(forked& taken, worker&) noexcept {
  return *static_cast<fork_join&>(taken).parent_;
}

std::coroutine_handle<> fork_join::strand_finished_slowly(strand& line, worker& w) noexcept {
  return line.is_spawned() ? w.end_spawned(line)
                           : child_finished_slowly(static_cast<record&>(line), w);
}

std::coroutine_handle<> fork_join::child_finished_slowly(record& r, worker& w) noexcept {
  fork_join& join = *r.join;
  r.leave();
  if (join.ended_ != nullptr) join.ended_(join, r);
  if (w.budget == 0) return end_line(r, w);
  if (&r + 1 == join.end_) {
    if (join.lines_ != 1) return end_line(r, w);
    return w.hop_to(*join.parent_);
  }
  if (!w.try_unfork(join)) return end_line(r, w);
  promise_base& child = join.enter(*join.next_++);
  if (join.next_ != join.end_ && !w.fork(join)) join.ready_all(w);
  return w.hop_to(child);
}

std::coroutine_handle<> fork_join::fork_slowly(promise_base& child, worker& w,
                                               fork_push pushed) noexcept {
  if (pushed == fork_push::unshared) {
    w.share_oldest_fork();
  } else if (pushed == fork_push::no_room && !w.fork(*this)) {
    ready_all(w);
  }
  return w.hop_to(child);
}

std::coroutine_handle<> fork_join::end_line(record& r, worker& w) noexcept {
  fork_join& join = *r.join;
  const std::ptrdiff_t change =
      &r + 1 == join.end_ ? static_cast<std::ptrdiff_t>(join.lines_) - 1 : -1;
  std::ptrdiff_t left = change;
  if (w.shared) {
    left += join.over_.fetch_add(change, std::memory_order_acq_rel);  // sync: A1
  } else {
    left += join.over_.load(std::memory_order_relaxed);  // relaxed: one thread
    join.over_.store(left, std::memory_order_relaxed);   // relaxed: one thread
  }
  if (left != 0) return std::noop_coroutine();
  promise_base& parent = *join.parent_;
  if (w.budget != 0) return w.hop_to(parent);
  // As the worker's newest fork, after others have run.
  join.begin = &fork_join::resume_parent;
  if (!w.fork(join)) {
    r.node.promise = &parent;
    w.ready(r.node);
  }
  return std::noop_coroutine();
}

void fork_join::ready_all(worker& w) noexcept {
  record* r = next_;
  record* const end = end_;
  lines_ += static_cast<std::size_t>(end - r);
  next_ = end;
  for (record* each = r; each != end; ++each) enter(*each);
  while (r != end) w.ready((r++)->node);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/runtime/fork_join.hpp"

namespace weft::detail {

namespace {

// So many children are not halved: each may run for long, and what a line keeps for itself others
// find only by force while it runs one.
constexpr std::ptrdiff_t few = 8;

}  // namespace

promise_base& fork_join::begin_line(record& taken, worker& w) noexcept {
  fork_join& join = *taken.join;
  record* const end = taken.range_end;
  if (end == nullptr) return *join.parent_;
  join.several_lines_.store(true, std::memory_order_relaxed);  // relaxed: A2
  taken.begin_line();
  promise_base& child = join.enter(taken);
  join.fork(*(&taken + 1), end, w);
  return child;
}

std::coroutine_handle<> fork_join::strand_finished_slowly(strand& s, worker& w) noexcept {
  return s.is_spawned() ? w.end_spawned(s) : child_finished_slowly(static_cast<record&>(s), w);
}

std::coroutine_handle<> fork_join::child_finished_slowly(record& r, worker& w) noexcept {
  fork_join& join = *r.join;
  r.leave();
  if (join.ended_ != nullptr) join.ended_(join, r);
  if (w.budget == 0) return end_line(r, w);
  record& next = *(&r + 1);
  if (&next == join.end_ || !w.try_unfork(next)) return end_line(r, w);
  return join.run_slowly(next, next.range_end, w);
}

std::coroutine_handle<> fork_join::run_slowly(record& r, record* end, worker& w) noexcept {
  promise_base& child = enter(r);
  fork(*(&r + 1), end, w);
  return w.hop_to(child);
}

std::coroutine_handle<> fork_join::fork_slowly(promise_base& child, record& rest, worker& w,
                                               fork_push pushed) noexcept {
  // Nobody else has come to its end: `child` has not begun.
  record* const end = rest.range_end;
  if (pushed == fork_push::unshared && end - &rest <= few)
    w.share_oldest_fork();
  else if (pushed == fork_push::no_room || w.try_unfork(rest))
    rest.join->fork(rest, end, w);
  return w.hop_to(child);
}

void fork_join::fork(record& from, record* end, worker& w) noexcept {
  if (&from == end) return;
  record* mine_end = end;
  if (w.shared && end - &from > few && !w.forks.hides()) {
    record& half = *(&from + (end - &from) / 2);
    half.join = this;
    half.range_end = end;
    if (!w.fork(half)) return ready_all(from, end, w);
    mine_end = &half;
  }
  from.join = this;
  from.range_end = mine_end;
  if (!w.fork(from)) ready_all(from, mine_end, w);
}

void fork_join::ready_all(record& from, record* end, worker& w) noexcept {
  several_lines_.store(true, std::memory_order_relaxed);  // relaxed: A2
  for (record* r = &from; r != end; ++r) {
    r->join = this;
    r->begin_line();
    (void)enter(*r);
  }
  for (record* r = &from; r != end;) w.ready((r++)->node);
}

std::size_t fork_join::line_length(const record& last) const noexcept {
  const record* begin = &last;
  while (begin != first_ && !begin->begins_line()) --begin;
  return static_cast<std::size_t>(&last + 1 - begin);
}

std::coroutine_handle<> fork_join::end_line(record& r, worker& w) noexcept {
  fork_join& join = *r.join;
  const auto all = static_cast<std::size_t>(join.end_ - join.first_);
  std::size_t ended = join.line_length(r);
  if (ended != all) {
    if (w.shared) {
      ended += join.ended_children_.fetch_add(ended, std::memory_order_acq_rel);  // sync: A1
    } else {
      ended += join.ended_children_.load(std::memory_order_relaxed);  // relaxed: one thread
      join.ended_children_.store(ended, std::memory_order_relaxed);   // relaxed: one thread
    }
    if (ended != all) return std::noop_coroutine();
  }
  promise_base& parent = *join.parent_;
  if (w.budget != 0) return w.hop_to(parent);
  // As the worker's newest fork, after others have run.
  r.range_end = nullptr;
  if (!w.fork(r)) {
    r.node.promise = &parent;
    w.ready(r.node);
  }
  return std::noop_coroutine();
}

}  // namespace weft::detail

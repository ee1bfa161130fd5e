// SPDX-License-Identifier: MIT
#pragma once
// How children are started and joined without a scheduler: what when_all and when_any stand on.
//
// A worker that runs a child, and what follows, is a line. The first line starts the first child at
// once and forks the rest: all children that have not been started are one thing in the worker's
// deque. When the line's child has ended it takes that back, starts the next child, and forks what
// is left; nobody counts as long as there is one line. Whoever else takes the thing, a thief or the
// worker's loop after a child began to wait, begins a line more. `lines_` and `next_` belong to
// who holds the thing: it is handed over with it. A line whose child has ended and that cannot go
// on is over. The line of the last child knows how many there were: each other one subtracts itself
// from `over_`, that one adds them all, and who reaches zero resumes the parent.
//
//   A1: a line subtracts itself, or adds them all (acq_rel) -> whoever reaches zero: the parent
//       reads what all have written.
//
// Where the worker's budget is gone, which is seen when its hops have run out, whoever goes on does
// so from its loop, after others: so a task that only forks and joins does not keep its thread.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/scope.hpp"
#include "weft/runtime/strand.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/worker.hpp"

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// The children of one parent. Their records lie in an array, in the order in which they start.
class fork_join : public forked {
public:
  /// The strand of a child; its node stands in for it where there is no memory to fork.
  struct record : strand {
    void set(promise_base& child) noexcept { node.promise = &child; }

    suspended node{before_waiting()};
    fork_join* join;
  };
  /// The child's task has finished, and its strand with it; what was forked is still the join's.
  using ended_fn = void (*)(fork_join& join, record& child) noexcept;

  fork_join() noexcept = default;
  fork_join(const fork_join&) = delete;
  fork_join& operator=(const fork_join&) = delete;

  /// Starts the children whose promises the records hold, at least one: what runs next.
  [[gnu::always_inline]] std::coroutine_handle<>
  start(promise_base& parent, record* first, std::size_t count, ended_fn ended = nullptr) noexcept {
    worker& w = *current_worker();
    begin = &fork_join::begin_line;
    parent_ = &parent;
    next_ = first + 1;
    end_ = first + count;
    ended_ = ended;
    lines_ = 1;
    if (ended != nullptr)
      for (record* r = first; r != end_; ++r) r->look_at_end();
    promise_base& child = enter(*first);
    if (next_ != end_) {
      const fork_push pushed = w.forks.push_quietly(this);
      if (pushed != fork_push::done) [[unlikely]]
        return fork_slowly(child, w, pushed);
    }
    if (!w.hops_quietly()) [[unlikely]]
      return w.hop_to(child);
    --w.hops;
    return child.handle();
  }

  /// What runs next when the task of `r` has finished, while hops are made in passing and the
  /// strand's end is no work. Publishes: the record may be gone.
  [[gnu::always_inline]] static std::coroutine_handle<> child_finished(record& r,
                                                                       worker& w) noexcept {
    fork_join& join = *r.join;
    if (&r + 1 == join.end_) {
      if (join.lines_ != 1) [[unlikely]]
        return end_line(r, w);
      --w.hops;
      return join.parent_->handle();
    }
    if (!w.forks.pop_quietly(&join)) [[unlikely]]
      return child_finished_slowly(r, w);
    promise_base& child = join.enter(*join.next_++);
    if (join.next_ != join.end_) {
      const fork_push pushed = w.forks.push_quietly(&join);
      if (pushed != fork_push::done) [[unlikely]]
        return join.fork_slowly(child, w, pushed);
    }
    --w.hops;
    return child.handle();
  }

  /// The same for any strand whose root has finished, a spawned task's among them.
  [[gnu::noinline]] static std::coroutine_handle<> strand_finished_slowly(strand& line,
                                                                          worker& w) noexcept;

protected:
  promise_base& parent() const noexcept { return *parent_; }

private:
  friend class strand;

  promise_base& enter(record& r) noexcept {
    promise_base& child = *r.node.promise;
    r.enter(strand_of(*parent_).scope(), parent_);
    r.join = this;
    child.strand_ = &r;
    return child;
  }
  static promise_base& begin_line(forked& taken, worker& w) noexcept;
  static promise_base& resume_parent(forked& taken, worker& w) noexcept;
  [[gnu::noinline]] static std::coroutine_handle<> child_finished_slowly(record& r,
                                                                         worker& w) noexcept;
  /// What is left of a fork, then on to the child.
  [[gnu::noinline]] std::coroutine_handle<> fork_slowly(promise_base& child, worker& w,
                                                        fork_push pushed) noexcept;
  /// A line is over, or the parent goes on by way of the worker's loop: what runs next.
  [[gnu::noinline]] static std::coroutine_handle<> end_line(record& r, worker& w) noexcept;
  /// There is no memory to fork: each child that is left is ready, as a line of its own.
  [[gnu::cold, gnu::noinline]] void ready_all(worker& w) noexcept;

  promise_base* parent_;
  record* end_;
  ended_fn ended_;
  // Who holds what was forked; after the last child was started, its line.
  plain<record*> next_;
  plain<std::size_t> lines_;
  // Any thread.
  atomic<std::ptrdiff_t> over_{0};
};

inline std::coroutine_handle<> promise_base::finish() noexcept {
  worker& w = *current_worker();
  if (awaiter != nullptr) [[likely]]
    return w.hop(awaiter->handle());
  strand& mine = *strand_;
  // All that is rare is a call in the end, so that no register is kept across it.
  if (!w.hops_quietly() || mine.leaves_slowly()) [[unlikely]]
    return fork_join::strand_finished_slowly(mine, w);
  return fork_join::child_finished(static_cast<fork_join::record&>(mine), w);
}

}  // namespace weft::detail

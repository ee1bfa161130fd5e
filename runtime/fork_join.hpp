// SPDX-License-Identifier: MIT
#pragma once
// How children are started and joined without a scheduler: what when_all and when_any stand on.
//
// Children that have not been started are forked as ranges: neighbours, as one thing in a worker's
// deque, which is the record of the first of them. A worker that runs a child, and then those
// behind it, is a line. The first line starts the first child and forks the rest; when its child
// has ended it takes back what begins with the next one, starts that, and forks what is left. So
// nobody counts as long as there is one line. Whoever else takes a range, a thief or the worker's
// loop after a child began to wait, begins a line more. A long range that would be the oldest of a
// deque, and so what others take, is halved: the further half is for them, and the line takes and
// forks the nearer one without an atomic operation.
//
// A line runs neighbours, from the child that it began with up to the one behind which something
// was taken. Then it is over, and adds how many it has run to `ended_children_`; who adds the last
// resumes the parent. A line that has run them all knows it by itself.
//
//   A1: a line adds its children (acq_rel) -> whoever adds the last: the parent reads what all
//       have written.
//   A2: who begins another line than the first sets `several_lines_`, or hands it over with the
//       line: one that has come to the last child and reads false is the first, and the only one.
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
class fork_join {
public:
  /// The strand of a child; as what is forked, this child and those behind it. Its node stands in
  /// for it where there is no memory to fork.
  struct record : strand, forked {
    void set(promise_base& child) noexcept { node.promise = &child; }

    suspended node{before_waiting()};
    fork_join* join;
    record* range_end;  // while it is forked; null: all have ended, the parent goes on
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
    parent_ = &parent;
    first_ = first;
    end_ = first + count;
    ended_ = ended;
    if (ended != nullptr)
      for (record* r = first; r != end_; ++r) r->look_at_end();
    first->join = this;
    if (!w.hops_quietly()) [[unlikely]]
      return run_slowly(*first, end_, w);
    return run(*first, end_, w);
  }

  /// What runs next when the task of `r` has finished, while hops are made in passing and the
  /// strand's end is no work. Publishes: the record may be gone.
  [[gnu::always_inline]] static std::coroutine_handle<> child_finished(record& r,
                                                                       worker& w) noexcept {
    fork_join& join = *r.join;
    record& next = *(&r + 1);
    if (&next == join.end_) {
      if (join.several_lines_.load(std::memory_order_relaxed)) [[unlikely]]  // relaxed: A2
        return end_line(r, w);
      return w.hop_in_passing(*join.parent_);
    }
    if (!w.forks.pop_quietly(&next)) [[unlikely]]
      return child_finished_slowly(r, w);
    return join.run(next, next.range_end, w);
  }

  /// The same for any strand whose root has finished, a spawned task's among them.
  [[gnu::noinline]] static std::coroutine_handle<> strand_finished_slowly(strand& s,
                                                                          worker& w) noexcept;

  /// Whoever has taken what was forked: what is to be resumed.
  static promise_base& begin_line(record& taken, worker& w) noexcept;

protected:
  promise_base& parent() const noexcept { return *parent_; }
  std::size_t index_of(const record& child) const noexcept {
    return static_cast<std::size_t>(&child - first_);
  }

private:
  /// Starts a child, and forks those behind it: what runs next. While hops are made in passing.
  [[gnu::always_inline]] std::coroutine_handle<> run(record& r, record* end, worker& w) noexcept {
    promise_base& child = enter(r);
    record* const rest = &r + 1;
    if (rest != end) {
      rest->join = this;
      rest->range_end = end;
      const fork_push pushed = w.forks.push_quietly(rest);
      if (pushed != fork_push::done) [[unlikely]]
        return fork_slowly(child, *rest, w, pushed);
    }
    return w.hop_in_passing(child);
  }
  [[gnu::noinline]] std::coroutine_handle<> run_slowly(record& r, record* end, worker& w) noexcept;
  promise_base& enter(record& r) noexcept {
    promise_base& child = *r.node.promise;
    r.enter(strand_of(*parent_).scope(), parent_);
    child.strand_ = &r;
    return child;
  }
  [[gnu::noinline]] static std::coroutine_handle<> child_finished_slowly(record& r,
                                                                         worker& w) noexcept;
  /// What is left of a fork, then on to the child.
  [[gnu::noinline]] static std::coroutine_handle<>
  fork_slowly(promise_base& child, record& rest, worker& w, fork_push pushed) noexcept;
  /// Forks what begins with `from`, none or more, in halves where much is to be shared.
  void fork(record& from, record* end, worker& w) noexcept;
  /// There is no memory to fork: each child from here on is ready, as a line of its own.
  [[gnu::cold, gnu::noinline]] void ready_all(record& from, record* end, worker& w) noexcept;
  /// A line is over, or the parent goes on by way of the worker's loop: what runs next.
  [[gnu::noinline]] static std::coroutine_handle<> end_line(record& r, worker& w) noexcept;
  std::size_t line_length(const record& last) const noexcept;

  promise_base* parent_;
  record* first_;
  record* end_;
  ended_fn ended_;
  // Any thread.
  atomic<std::size_t> ended_children_{0};
  atomic<bool> several_lines_{false};
};

inline std::coroutine_handle<> promise_base::finish() noexcept {
  promise_base* const next = awaiter;
  return next != nullptr ? current_worker()->hop(next->handle()) : finish_strand();
}

inline std::coroutine_handle<> promise_base::finish_strand() noexcept {
  worker& w = *current_worker();
  strand& mine = *strand_;
  // All that is rare is a call in the end, so that no register is kept across it.
  if (!w.hops_quietly() || mine.leaves_slowly()) [[unlikely]]
    return fork_join::strand_finished_slowly(mine, w);
  return fork_join::child_finished(static_cast<fork_join::record&>(mine), w);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A strand is a line of coroutines that run one at a time: a spawned task or a child of when_all,
// with the frames that it awaits. It knows the cancel scope that it is in, and the operation that
// it waits for. A strand links itself into its scope's list once, when it first has to wait, and
// most of the record is made only then: fork-join that never waits pays nothing for cancellation,
// and an await writes to no cache line that strands share.
//
// The lock (a no-op on an event loop) covers `waiting_`, `scope_`, `cancel_posted_` and
// `stop_records_`. Who waits:
//   begin_wait   locks, refuses when the scope is stopped, publishes the operation
//   (start it)   under the lock, so that a canceller never meets a half-started operation
//   commit_wait  unlocks: the last touch, the coroutine may be resumed elsewhere at once
//   abort_wait   unlocks, nothing is waited for: it had completed at once
// Who completes calls complete(); who cancels, for a scope or for this strand alone, calls visit(),
// which either withdraws the operation, or asks its owner to do so by a message. While that message
// is on its way the strand stays suspended (complete() leaves the resume to the message), so that
// neither it nor the frame goes.
//
//   S3: try_stop_alone sets stopped_alone_ (release), then its caller visits, under the lock ->
//       begin_wait reads it (acquire), under the lock: one of them sees the other, as with S1. An
//       await that is refused without the lock sees what was written before the stop, too.
//
// Lock order: scope, strand, synchronisation object or ready queue. Nothing is resumed under any.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/message.hpp"
#include "weft/runtime/prefetch.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <atomic>
#include <cstdint>
#include <source_location>

namespace weft {
class scheduler;
}

namespace weft::detail {

class cancel_scope;
class promise_base;
struct operation;
struct stop_record;
struct stop_token_query;
struct worker;

struct strand_link {
  plain<strand_link*> prev;
  plain<strand_link*> next;
};

class strand : private message, private strand_link {
public:
  strand() noexcept : message(before_waiting()) {}
  strand(const strand&) = delete;
  strand& operator=(const strand&) = delete;

  /// Before the first resume: where it belongs, and which coroutine waits for its end (may be
  /// null).
  void enter(cancel_scope& base, promise_base* parent) noexcept {
    scope_ = &base;
    parent_ = parent;
  }
  /// What only a wait, or somebody who looks at the strand, needs: once, by the strand itself, or
  /// by its owner before others know it.
  void settle() noexcept {
    if ((at_end_ & settled) == 0) settle_now();
  }
  /// After its last frame has finished; the record may be freed then.
  void leave() noexcept {
    if ((at_end_ & settled) != 0) leave_settled();
  }
  /// Its end is more than a leave() that does nothing.
  bool leaves_slowly() const noexcept { return at_end_ != 0; }
  /// Somebody else looks at its end. Before the first resume.
  void look_at_end() noexcept { at_end_ |= looked_at; }
  /// It is a spawned task's, a child_base. Before the first resume.
  void set_spawned() noexcept { at_end_ |= spawned; }
  bool is_spawned() const noexcept { return (at_end_ & spawned) != 0; }
  /// It is the first of a line of fork_join, but for the first line of all. Before the first
  /// resume.
  void begin_line() noexcept { at_end_ |= line_begin; }
  bool begins_line() const noexcept { return (at_end_ & line_begin) != 0; }

  /// Thread: the strand itself, and others while it waits.
  scheduler& home() const noexcept;
  /// The same once it is settled. Thread: any, while the strand is alive.
  scheduler& settled_home() const noexcept { return *home_; }
  /// The innermost scope that is open. Thread: the strand itself.
  cancel_scope& scope() const noexcept { return *scope_; }
  /// The coroutine that waits for this strand's end, for those who walk who-awaits-whom.
  promise_base* parent() const noexcept { return parent_; }
  /// Whether an await would be refused now. Thread: the strand itself.
  bool stop_requested() const noexcept;
  /// The same from the moment on in which a stop was requested that is still on its way here.
  bool stop_is_under_way() const noexcept;
  /// What reports call it while it does not wait: the function that was spawned.
  std::source_location name() const noexcept { return name_; }
  void set_name(std::source_location function) noexcept {
    settle();
    name_ = function;
  }

  /// An await was refused: how many there were since the last scope closed into one that is not
  /// stopped. A stopped one refuses all that follow, so they came in a row. Thread: the strand
  /// itself.
  unsigned count_refusal() noexcept {
    settle();
    return ++refusals_;
  }

  /// What the recorder knows this strand by; 0 until it has seen it. Thread: the strand itself.
  std::uint64_t& trace_id() noexcept {
    settle();
    return trace_id_;
  }

  [[nodiscard]] bool begin_wait(operation& op) noexcept;
  /// The same for a wait that a stop does not refuse: the end of children that it stops, too.
  void begin_join(operation& op) noexcept;
  void commit_wait() noexcept { unlock(); }
  void abort_wait() noexcept {
    waiting_ = nullptr;
    unlock();
  }

  /// The operation has come to its end: makes the strand ready. Thread: a worker of home().
  void complete(operation& op, worker& w) noexcept;

  /// Carries a stop to what this strand waits for and to the scopes that it opened inside `limit`
  /// (null: all). The caller keeps the strand alive. Thread: a worker of home().
  void visit(const cancel_scope* limit, worker& w) noexcept;

  /// Stops this strand alone, with the scopes that it has opened; false when it was before. Then
  /// visit(nullptr). Thread: any, while the strand is alive.
  [[nodiscard]] bool try_stop_alone() noexcept {
    return !stopped_alone_.exchange(true, std::memory_order_release);  // sync: S3
  }
  /// Level-triggered. Thread: any, while the strand is alive.
  bool stopped_alone() const noexcept {
    return stopped_alone_.load(std::memory_order_acquire);  // sync: S3
  }

  void open(cancel_scope& s) noexcept;
  void close(cancel_scope& s) noexcept;

private:
  friend class cancel_scope;
  friend class strand_list;
  friend class task_tree;
  friend stop_token_query;

  void settle_now() noexcept;
  void leave_settled() noexcept;
  void link_once() noexcept;
  void lock() noexcept;
  void unlock() noexcept;
  /// False when the scope is stopped: it is the caller's still.
  [[nodiscard]] bool keep(stop_record& r) noexcept;
  /// Those whose scope is stopped. Under the lock.
  void send_stop_records(worker& w) noexcept;
  void forget_stop_records(const cancel_scope& s) noexcept;
  static void deliver_cancel(message& m, worker& w) noexcept;

  // What there is to do, or to know, at its end.
  static constexpr std::uint8_t settled = 1;
  static constexpr std::uint8_t looked_at = 2;
  static constexpr std::uint8_t spawned = 4;
  static constexpr std::uint8_t line_begin = 8;

  // Once it is settled.
  scheduler* home_;
  cancel_scope* base_;  // whose list it is in
  plain<operation*> waiting_;
  plain<stop_record*> stop_records_;  // behind tokens that were asked for
  std::int64_t linked_ns_;            // when it first had to wait
  std::uint64_t trace_id_;            // the strand itself
  unsigned refusals_;                 // the strand itself
  bool shared_;
  union {                        // so that it is left unset until then
    std::source_location name_;  // written before it is linked
  };

  // From the beginning on: in the end, beside what a child's record has, and first in eight bytes
  // that one store makes zero.
  alignas(8) spin_lock lock_;
  atomic<bool> stopped_alone_{false};
  bool linked_ = false;               // the strand itself
  bool has_stop_token_ = false;       // the strand itself
  std::uint8_t at_end_ = 0;           // the strand itself
  plain<bool> cancel_posted_{false};  // the message is on its way to the operation's owner
  plain<bool> completed_{false};      // ... and the operation has ended meanwhile
  plain<cancel_scope*> scope_;        // innermost
  promise_base* parent_;
};

/// Circular list of strands; a strand can leave without knowing which list it is in.
class strand_list {
public:
  strand_list() noexcept : head_{&head_, &head_} {}
  strand_list(const strand_list&) = delete;
  strand_list& operator=(const strand_list&) = delete;

  bool empty() const noexcept { return head_.next == &head_; }
  strand& front() noexcept { return static_cast<strand&>(*head_.next); }
  /// Of many that sleep most are cold. Brings the third one towards the cache, and what the second
  /// one waits for; there is a first one.
  void fetch_ahead() const noexcept {
    const strand_link* const second = head_.next->next;
    if (second == &head_) return;
    const strand_link* const third = second->next;
    prefetch(third);
    prefetch(third, 1);
    const auto& s = static_cast<const strand&>(*second);
    if (s.shared_) return;  // it would take its lock
    const operation* const op = s.waiting_;
    prefetch(op);
    prefetch(op, 1);
  }
  void push_back(strand& s) noexcept {
    strand_link& l = s;
    l.prev = head_.prev;
    l.next = &head_;
    head_.prev->next = &l;
    head_.prev = &l;
  }
  template <class Visit>
  void for_each(Visit visit) {
    for (strand_link* l = head_.next; l != &head_; l = l->next) visit(static_cast<strand&>(*l));
  }
  static void remove(strand& s) noexcept {
    strand_link& l = s;
    l.prev->next = l.next;
    l.next->prev = l.prev;
  }

private:
  strand_link head_;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A cancel scope: what a stop request stops. It is inherited through every co_await and spawn,
// opened by task groups, deadlines, when_any, shields (and by each run), and lists the strands that
// began in it and had to wait. A shield is a scope that a stop from outside does not reach.
//
// request_stop() sets the cause, once, and posts the scope to its scheduler; nothing else happens
// inside the request. A worker then walks the list in slices of `slice_max`: each strand is visited
// once, since whoever starts to wait after the cause was set refuses by itself (strand.hpp). The
// scope also counts what it must outlive: children, timers, walks in progress, and its opener until
// that joins. When the count reaches zero it stays zero, and `on_empty` is called, once.
//
//   S1: request_stop sets cause_ (release) -> message -> the walk locks each strand -> begin_wait
//       locks the strand and reads cause_: it either published its operation before the visit, or
//       sees the flag. cause() acquires for an await that is refused without a lock: it sees what
//       was written before the stop.
//   S2: each release() (acq_rel) -> the one to zero, or try_close (acquire): whoever joined reads
//       what the children wrote.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/message.hpp"
#include "weft/runtime/spin_lock.hpp"
#include "weft/runtime/strand.hpp"
#include "weft/runtime/timer_queue.hpp"

#include <atomic>
#include <cstdint>

namespace weft::detail {

/// Why a scope was stopped: what came first.
enum class stop_cause : unsigned char { none, request, deadline };

class cancel_scope : private message {
public:
  static constexpr int slice_max = 64;

  using empty_fn = void (*)(cancel_scope&) noexcept;

  /// `home`: the scheduler whose workers carry out a stop. `on_empty` may end the scope's life.
  cancel_scope(scheduler& home, empty_fn on_empty) noexcept;
  cancel_scope(const cancel_scope&) = delete;
  cancel_scope& operator=(const cancel_scope&) = delete;
  ~cancel_scope();

  /// Level-triggered: once true it stays true. Thread: any.
  bool stop_requested() const noexcept { return cause() != stop_cause::none; }
  stop_cause cause() const noexcept {
    return cause_.load(std::memory_order_acquire);  // sync: S1
  }

  /// True from the moment on in which a stop of this scope, or of one around it that reaches it,
  /// was requested; it arrives at the scopes within one after the other. Thread: a strand inside.
  bool stop_is_under_way() const noexcept;

  /// Thread: any, while the caller keeps the scope open (it holds it, or runs inside). Allocates
  /// nothing, resumes nothing.
  void request_stop(stop_cause why = stop_cause::request) noexcept;

  /// One more that the scope must outlive. False when it is already empty: nothing can join it
  /// then.
  [[nodiscard]] bool try_hold() noexcept;
  /// The same where false is a misuse that ends the program: in one step, however many do it.
  [[nodiscard]] bool hold(std::uint64_t count = 1) noexcept {
    return holds_.fetch_add(count, std::memory_order_acq_rel) != 0;  // sync: O3, as in try_hold()
  }
  /// True when the opener's hold was the only one: the scope is empty now, and on_empty isn't
  /// called.
  [[nodiscard]] bool try_close() noexcept {
    std::uint64_t openers = 1;
    return holds_.compare_exchange_strong(openers, 0, std::memory_order_acquire,  // sync: S2
                                          std::memory_order_relaxed);
  }
  /// Publishes: the scope may be gone afterwards.
  void release(std::uint64_t count = 1) noexcept;

  scheduler& home() const noexcept { return *home_; }
  cancel_scope* outer() const noexcept { return outer_; }
  /// What is inside has this long at most, by the scheduler's clock: its own deadline, or an
  /// earlier one of those around it. Thread: a strand inside.
  std::int64_t deadline() const noexcept { return deadline_ns_; }

protected:
  /// Before it is opened.
  void set_deadline(std::int64_t ns) noexcept { deadline_ns_ = ns; }
  void set_shield() noexcept { shield_ = true; }
  void set_stopped(stop_cause why) noexcept {
    cause_.store(why, std::memory_order_relaxed);  // relaxed: nobody else knows it yet
  }

private:
  friend class strand;
  friend class task_tree;

  bool shared() const noexcept { return shared_; }
  [[noreturn, gnu::cold]] void left_unjoined() noexcept;
  void link(strand& s) noexcept;
  void unlink(strand& s) noexcept;
  void walk(worker& w) noexcept;
  void send_walk(worker& w) noexcept;
  static void deliver_walk(message& m, worker& w) noexcept;

  // Fixed while open.
  scheduler* const home_;
  const empty_fn on_empty_;
  const bool shared_;
  bool shield_ = false;
  plain<std::int64_t> deadline_ns_ = no_deadline;
  plain<cancel_scope*> outer_ = nullptr;  // the scope that it was opened in, on the same strand
  plain<strand*> opener_ = nullptr;       // null: opened by a run, not by a strand

  // Any thread.
  atomic<stop_cause> cause_{stop_cause::none};
  atomic<std::uint64_t> holds_{1};  // the opener's
  spin_lock lock_;
  plain<bool> opener_visited_ = false;
  strand_list strands_;  // guarded by lock_: not visited yet
  strand_list visited_;
};

inline scheduler& strand::home() const noexcept { return scope_->home(); }

inline bool strand::stop_requested() const noexcept {
  return scope_->stop_requested() || (stopped_alone() && scope_ == base_);
}

}  // namespace weft::detail

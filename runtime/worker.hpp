// SPDX-License-Identifier: MIT
#pragma once
// The per-thread record that both schedulers drive: ready work, timers, frames, the ring and what
// other threads may reach. sched/ owns the records and the threads, io/ completes the ring; the
// runtime room only makes tasks ready here. What differs between a loop and a pool is `shared`.

#include "weft/runtime/detail/fork_deque.hpp"
#include "weft/runtime/detail/parker.hpp"
#include "weft/runtime/frame_cache.hpp"
#include "weft/runtime/message.hpp"
#include "weft/runtime/ready_queue.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/spare_holds.hpp"
#include "weft/runtime/suspended.hpp"
#include "weft/runtime/trace_span.hpp"
#include "weft/runtime/worker_timers.hpp"

#include <atomic>
#include <coroutine>
#include <cstdint>

namespace weft {
class trace_lane;
}

namespace weft::detail {

class child_base;
class ring;
class strand;
struct worker;

/// Who reports a task that goes on although everything it awaits is refused.
struct stall_hook {
  void (*refused_too_often)(stall_hook&, worker&, const promise_base&) noexcept;
};

struct worker {
  /// Symmetric transfers in a row before one goes through the run slot when the stack has grown
  /// meanwhile: compilers may turn each into a call (g++ below -O2, sanitizers), and so the stack
  /// stays bounded whatever they do.
  static constexpr unsigned hops_max = 32;
  static constexpr unsigned all_hops = ~0U;
  /// Ready awaits in a row before a task lets others run.
  static constexpr unsigned budget_max = 128;
  /// What hops_max transfers take of that: so tasks that only fork and join give way too.
  static constexpr unsigned hops_cost = 8;
  /// Where they are short, the clock is read when so much of it has been spent on transfers.
  static constexpr unsigned clock_price = 8 * hops_cost;
  /// What a worker resumes between two looks at the ring, the messages and the timers takes no
  /// longer than this, but for the stretch that is under way then: the clock is read after so many
  /// resumes, transfers or ready awaits, and after fewer of them where they have taken long.
  static constexpr std::int64_t turn_ns = 500'000;
  /// Refused awaits after which a task that goes on is reported.
  static constexpr unsigned refusals_max = 1000;

  worker(scheduler& s, unsigned i)
      : home(&s), index(i), shared(s.shared()), timers(s.shared()), forks(s.forks_taken_by()) {}
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// What to transfer to in order to run `h` next. Thread: owner, as the last step of an await.
  std::coroutine_handle<> hop(std::coroutine_handle<> h) noexcept {
    // In this spelling one instruction on memory, and a branch.
    if (__builtin_sub_overflow(hops, 1U, &hops)) [[unlikely]]
      return hop_over(h);
    return h;
  }

  /// Whether the next transfer of a fork-join may be made in passing: nobody has to hear of it.
  bool hops_quietly() const noexcept { return hops > hops_kept; }
  /// After that.
  std::coroutine_handle<> hop_in_passing(promise_base& next) noexcept;

  /// Queues a woken task behind the others. Publishes: `s` may be gone when this returns.
  void ready(suspended& s) noexcept {
    if (!shared) {
      fifo.push_unshared(s);
    } else if (collecting) {
      fifo.collect(s);
    } else {
      fifo.push(s);
      home->notify_pushed();
    }
  }

  /// The same for the task that runs, as the last step of its await: no sleeper is woken for it
  /// while there is nothing that would keep it waiting.
  void give_way(suspended& s) noexcept {
    if (!shared)
      fifo.push_unshared(s);
    else if (delivering) [[unlikely]]
      ready(s);  // a posted function has resumed the task, and may go on for long
    else
      fifo.give_way(s);
  }

  /// Others may take what is ready while a body runs that is not the oldest of it. Before each one.
  void share_ready() noexcept {
    if (shared && fifo.share()) home->notify_pushed();
  }

  /// Adds what was forked: the owner comes back to the newest, thieves take the oldest. False when
  /// there is no memory for it: the caller makes it ready. Publishes.
  [[nodiscard]] bool fork(forked& f) noexcept {
    return forks.push(&f, [this] { home->notify_pushed(); });
  }

  /// After forks.push_quietly() has found that nothing is shared.
  void share_oldest_fork() noexcept {
    if (forks.share_oldest()) home->notify_pushed();
  }

  /// True when `f` was the newest fork and nobody had taken it: it is the caller's now.
  [[nodiscard]] bool try_unfork(forked& f) noexcept {
    return forks.pop(&f, [this] { home->notify_pushed(); }) != nullptr;
  }

  /// What is to be resumed of the newest fork that nobody took, or nullptr.
  promise_base* pop_fork() noexcept { return forks.hides() ? begin_fork() : nullptr; }

  /// One ready await is paid for. False when the budget is gone: the task has to yield.
  bool spend() noexcept {
    if (budget == 0) [[unlikely]]
      return false;
    --budget;
    return true;
  }

  /// Runs a coroutine until it suspends, with everything that it transfers to. Thread: owner, from
  /// its loop.
  void resume(promise_base& p) noexcept;

  /// Begins a turn. `worked`: the last one ended because of its resumes, and nothing was waited for
  /// since. Thread: owner, from its loop.
  void begin_turn(std::int64_t now_ns, bool worked) noexcept {
    if (worked && pace == 0) set_pace(now_ns - clock_read_ns);  // otherwise it has been read
    clock_read_ns = now_ns;
    turn_ends_ns = now_ns + turn_ns;
    turn_is_over = false;
  }

  /// Between two resumes: whether the turn ends here. Thread: owner, from its loop.
  bool ends_turn() noexcept {
    if (budget != 0 && (pace == 0 || --resumes_to_clock != 0)) [[likely]]
      return turn_is_over;
    return look_at_clock();
  }

  /// What is to be resumed of a node that was taken from a ready queue: null when that was a
  /// spawned task that has ended as it began. Thread: owner, from its loop.
  promise_base* begin(suspended& s) noexcept {
    if (s.promise == nullptr) return begin_spawned(s);
    holds.give_back();
    return s.promise;
  }

  /// A spawned task has finished; its record follows once nothing of it is on the stack. Thread:
  /// owner, as the task's last step.
  std::coroutine_handle<> end_spawned(strand& s) noexcept;

  /// What is left to do after a coroutine was resumed here, by resume() or by somebody's handle.
  /// Thread: owner, with no coroutine on its stack.
  void finish_resume() noexcept;

  /// Has this worker deliver `m` between two resumes. Thread: any.
  void post(message& m) noexcept { home->send_to(*this, m); }

  /// Another task runs from here on; noted down for recordings and stall reports.
  void switch_task(const promise_base& next) noexcept {
    if (observed) [[unlikely]]
      note_task(next);
  }

  /// Transfers to another task. Thread: owner, as the last step of an await.
  [[gnu::noinline]] std::coroutine_handle<> hop_to(promise_base& next) noexcept;

  /// The task that runs is to let others run. Thread: owner.
  void use_up() noexcept {
    budget = 0;
    hops_kept = all_hops;
  }

  /// The same for what is no task; note_end() follows. Thread: owner, while it is observed.
  void note_function(const char* name) noexcept;
  void note_end() noexcept;

  /// An await was refused because the strand's scope is stopped. A task that goes on all the same,
  /// for ever, is named in a stall report. Thread: owner.
  [[gnu::cold]] void note_refusal(promise_base& p) noexcept;

  // Fixed after start.
  scheduler* const home;
  const unsigned index;
  const bool shared;
  detail::ring* ring = nullptr;
  trace_lane* trace = nullptr;
  bool observed = false;         // `span` and `beat` are kept up to date
  stall_hook* stalls = nullptr;  // null: nobody asks for stall reports

  // Owner thread.
  std::coroutine_handle<> run_slot{};
  child_base* ended = nullptr;  // its task has finished
  spare_holds holds;
  std::int64_t turn_ends_ns = INT64_MAX;
  std::int64_t clock_read_ns = 0;
  bool turn_is_over = false;
  bool forks_first = true;        // in the next turn, before woken tasks
  bool worked_through = false;    // the turn ended because of its resumes
  unsigned pace = 0;              // stretches without a clock are shorter by 2 to the power of this
  unsigned short_stretches = 0;   // the last ones in a row
  unsigned resumes_to_clock = 0;  // where pace is not 0
  unsigned hops_first = hops_max - 1;
  unsigned budget_first = budget_max;
  bool collecting = false;          // completions or timers: no body runs before this is over
  bool delivering = false;          // messages, posted functions among them
  unsigned hops = 0;                // that may follow before a look at the stack, or the run slot
  unsigned hops_price = hops_cost;  // of those, when they have run out
  std::uintptr_t stack_base = 0;    // where the stretch began; 0: it is not to be prolonged
  unsigned hops_kept = 0;  // for those that are looked at: all, when observed or without budget
  unsigned budget = budget_max;
  frame_cache frames;
  std::uint64_t resumes = 0;
  trace_span span{};  // what runs now, when observed

  // Any thread.
  std::atomic<std::uint64_t> beat{0};  // when observed: another value with each stretch, odd in one
  worker_timers timers;
  mailbox inbox;
  ready_queue fifo;
  fork_deque<forked> forks;
  parker<> parking;

private:
  [[gnu::noinline]] promise_base* begin_fork() noexcept;
  promise_base* begin_spawned(suspended& s) noexcept;
  [[gnu::noinline]] std::coroutine_handle<> hop_over(std::coroutine_handle<> h) noexcept;
  unsigned budget_after_hops() const noexcept;
  bool clock_is_due() const noexcept;
  [[gnu::noinline]] bool look_at_clock() noexcept;
  void set_pace(std::int64_t stretch_took_ns) noexcept;
  void note_task(const promise_base& next) noexcept;
  void begin_stretch() noexcept;
};

/// The worker that runs on this thread, or nullptr on a thread that is none of weft's. Never read
/// as a plain thread_local: in a coroutine a compiler may keep its address across a suspension,
/// after which another thread runs.
#if defined(__x86_64__) && defined(__LP64__)
[[gnu::always_inline]] inline worker* current_worker() noexcept {
  worker* w;
  asm volatile(  // in the spelling of AT&T, and of Intel for those who compile with -masm=intel
      "{movq weft_this_worker@gottpoff(%%rip), %0|"
      "mov %0, QWORD PTR weft_this_worker@gottpoff[rip]}\n\t"
      "{movq %%fs:(%0), %0|mov %0, QWORD PTR fs:[%0]}"
      : "=r"(w)
      :
      : "memory");
  return w;
}
#else
[[gnu::noinline]] worker* current_worker() noexcept;
#endif

/// Makes `w` this thread's worker for as long as the object lives.
class worker_binding {
public:
  explicit worker_binding(worker& w) noexcept;
  ~worker_binding();
  worker_binding(const worker_binding&) = delete;
  worker_binding& operator=(const worker_binding&) = delete;
};

}  // namespace weft::detail

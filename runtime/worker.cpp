// SPDX-License-Identifier: MIT
#include "weft/runtime/worker.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/runtime/child.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/stop_token.hpp"
#include "weft/runtime/trace.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

// initial-exec: one load, where a shared library would call a function to find the variable. With
// a name of C's, which current_worker() spells where link-time optimisation does not see it.
extern "C" {
[[gnu::used,
  gnu::tls_model("initial-exec")]] constinit thread_local weft::detail::worker* weft_this_worker =
    nullptr;
}

namespace weft::detail {

namespace {

[[gnu::always_inline]] inline std::uintptr_t stack_here() noexcept {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

}  // namespace

#if !(defined(__x86_64__) && defined(__LP64__))
worker* current_worker() noexcept {
  worker* w = weft_this_worker;
  asm volatile("" : "+r"(w) : : "memory");
  return w;
}
#endif

worker_binding::worker_binding(worker& w) noexcept {
  WEFT_ASSERT(weft_this_worker == nullptr, "this thread drives a scheduler already");
  weft_this_worker = &w;
  w.frames.bind();
}

worker_binding::~worker_binding() {
  weft_this_worker->frames.unbind();
  weft_this_worker = nullptr;
}

promise_base& begin_forked(forked& taken, worker& w) noexcept {
  return fork_join::begin_line(static_cast<fork_join::record&>(taken), w);
}

promise_base* worker::begin_fork() noexcept {
  forked* const f = forks.pop(nullptr, [this] { home->notify_pushed(); });
  if (f == nullptr) return nullptr;
  holds.give_back();
  return &begin_forked(*f, *this);
}

void worker::resume(promise_base& p) noexcept {
  ++resumes;
  stack_base = stack_here();
  hops = hops_first;
  hops_price = hops_cost;
  hops_kept = 0;
  budget = budget_first;
  if (observed) [[unlikely]] {
    hops_kept = all_hops;
    note_task(p);
  }
  p.handle().resume();
  if (run_slot != nullptr || ended != nullptr) finish_resume();
  if (observed) [[unlikely]]
    note_end();
}

std::coroutine_handle<> worker::hop_over(std::coroutine_handle<> h) noexcept {
  hops = 0;
  if (run_slot != nullptr) return h;  // a posted function resumes several coroutines
  // While the transfers have not made the stack grow they were jumps, and some more may follow,
  // until the clock is due: a chain takes no more stack than that, and a frame for each of those.
  constexpr std::uintptr_t grown_bytes = 4096;
  constexpr unsigned rounds_max = 2;
  if (stack_base - stack_here() < grown_bytes && !clock_is_due()) {
    budget = budget_after_hops();
    if (budget == 0) {
      use_up();
      stack_base = 0;  // once: whoever has resumed it by its handle may wait for that to return
    }
    hops_price = std::min(budget % clock_price, rounds_max * hops_cost);
    const unsigned rounds = budget == 0 ? rounds_max : std::max(1U, hops_price / hops_cost);
    hops = rounds * hops_max - 1;
    return h;
  }
  run_slot = h;
  return std::noop_coroutine();
}

std::coroutine_handle<> worker::hop_to(promise_base& next) noexcept {
  switch_task(next);
  return hop(next.handle());
}

void worker::finish_resume() noexcept {
  for (;;) {
    if (ended != nullptr) {
      share_ready();  // what dies with it may take long, or resume a coroutine
      // Whom that resumes may need the run slot.
      const std::coroutine_handle<> next = std::exchange(run_slot, nullptr);
      std::exchange(ended, nullptr)->end(*this);
      if (next != nullptr) {
        finish_resume();
        run_slot = next;
      }
    } else if (run_slot != nullptr) {
      const bool due = clock_is_due();
      budget = budget_after_hops();
      if (due && look_at_clock()) budget = 0;
      if (budget == 0) use_up();
      share_ready();  // what died may have resumed a task that has given way
      holds.give_back();
      stack_base = stack_here();
      hops = hops_first;
      hops_price = hops_cost;
      std::exchange(run_slot, nullptr).resume();
    } else {
      return;
    }
  }
}

promise_base* worker::begin_spawned(suspended& s) noexcept {
  auto& child = static_cast<child_base&>(s);
  holds.keep_only(child.group());
  promise_base* const p = child.begin(*this);
  // The function may have resumed other coroutines.
  if (run_slot != nullptr || ended != nullptr) finish_resume();
  if (p != nullptr) {
    share_ready();
    holds.keep_only(child.group());
  }
  return p;
}

std::coroutine_handle<> worker::end_spawned(strand& s) noexcept {
  // Somebody has resumed several coroutines: a posted function, or what died with one of them.
  while (ended != nullptr) [[unlikely]]
    std::exchange(ended, nullptr)->end(*this);
  ended = &static_cast<child_base&>(s);
  return std::noop_coroutine();
}

unsigned worker::budget_after_hops() const noexcept {
  return budget - std::min(budget, hops_price);
}

bool worker::clock_is_due() const noexcept {
  if (budget == 0) return false;  // the task is to let others run, whatever the time
  // Where stretches are short a clock for each of them would cost too much.
  const unsigned left = budget_after_hops();
  return pace != 0 || left == 0 || (left - 1) / clock_price != (budget - 1) / clock_price;
}

bool worker::look_at_clock() noexcept {
  const std::int64_t now = home->now();
  set_pace(now - clock_read_ns);
  clock_read_ns = now;
  turn_is_over = now >= turn_ends_ns;
  return turn_is_over;
}

void worker::set_pace(std::int64_t stretch_took_ns) noexcept {
  constexpr unsigned pace_max = 7;
  constexpr unsigned resumes_most = 64;
  // Between long stretches short ones come, too: it takes many of them in a row.
  constexpr unsigned short_ones_max = 16;
  if (stretch_took_ns > turn_ns / 4 && pace < pace_max) ++pace;
  if (stretch_took_ns >= turn_ns / 16) {
    short_stretches = 0;
  } else if (pace != 0 && ++short_stretches == short_ones_max) {
    --pace;
    short_stretches = 0;
  }
  resumes_to_clock = std::max(1U, resumes_most >> pace);
  hops_first = std::max(1U, hops_max >> pace) - 1;
  budget_first = std::max(1U, budget_max >> pace);
}

void worker::note_task(const promise_base& next) noexcept {
  note_end();
  const promise_base* root = &next;
  while (root->awaiter != nullptr) root = root->awaiter;
  span.name = root->line.function_name();
  span.file = next.line.file_name();
  span.line = next.line.line();
  if (trace != nullptr) {
    std::uint64_t& id = root->strand_->trace_id();
    if (id == 0) id = trace->next_task_id();
    span.task = id;
    span.begin_ns = home->now();
  }
  begin_stretch();
}

void worker::note_function(const char* name) noexcept {
  span = {.begin_ns = 0, .end_ns = 0, .task = 0, .name = name, .file = nullptr, .line = 0};
  begin_stretch();
}

void worker::begin_stretch() noexcept {
  // Not before `span` is complete, for a signal handler on this thread.
  std::atomic_signal_fence(std::memory_order_release);
  // relaxed: the owner is the only writer, and who reads it looks whether it moves
  const std::uint64_t last = beat.load(std::memory_order_relaxed);
  beat.store((last + 1) | 1, std::memory_order_relaxed);  // relaxed: as above
}

void worker::note_end() noexcept {
  const std::uint64_t running = beat.load(std::memory_order_relaxed);  // relaxed: as above
  if ((running & 1) == 0) return;
  beat.store(running + 1, std::memory_order_relaxed);   // relaxed: as above
  std::atomic_signal_fence(std::memory_order_seq_cst);  // `span` changes from here on
  if (span.begin_ns == 0) return;
  span.end_ns = home->now();
  trace->add(span);
  span.begin_ns = 0;
}

void worker::note_refusal(promise_base& p) noexcept {
  stop_token_query::tell(*p.strand_);
  if (p.strand_->count_refusal() == refusals_max && stalls != nullptr)
    stalls->refused_too_often(*stalls, *this, p);
}

void waiter::complete() noexcept {
  strand& s = strand_of(*promise);
  worker* const w = current_worker();
  if (w != nullptr && w->home == &s.home()) {
    s.complete(*this, *w);
    return;
  }
  deliver = [](message& m, worker& home) noexcept {
    auto& self = static_cast<waiter&>(m);
    strand_of(*self.promise).complete(self, home);
  };
  s.home().send(*this);
}

}  // namespace weft::detail

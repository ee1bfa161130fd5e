// SPDX-License-Identifier: MIT
#include "weft/sched/detail/parallel_job.hpp"

#include "weft/io/ring.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/thread_pool.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weft::detail {

namespace {

// A look at the clock takes some 30 ns.
constexpr std::int64_t chunk_ns = 20'000;
// Between two looks at the timers and the ring of a worker.
constexpr std::uint64_t look_ns = 200'000;
// A chunk that was interrupted, or whose body is faster the second time, says little.
constexpr std::size_t growth_max = 8;

// When this thread last asked. Of no consequence but time: whoever finds it old measures once more.
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t last_ticks = 0;

std::int64_t clock_ns() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

/// Whether somebody waits whom this worker, or any, has to see to in its turn. A loop does not
/// count who is ready, and its turn costs little.
bool somebody_waits(worker& w) noexcept {
  return !w.shared || !w.fifo.empty() || !w.inbox.empty() ||
         static_cast<thread_pool&>(*w.home).has_messages();
}

/// Whether the worker's last look at its timers and its ring was long ago.
bool must_look(const worker& w, std::int64_t now_ns) noexcept {
  // Unsigned: the clock of the worker's kernel may be another one than that of the chunks, and
  // ahead of it.
  const std::int64_t last_look_ns = w.turn_ends_ns - worker::turn_ns;
  return static_cast<std::uint64_t>(now_ns - last_look_ns) > look_ns;
}

}  // namespace

void pace::start() noexcept { began_ns_ = clock_ns(); }

std::int64_t pace::chunk_done(std::size_t done) noexcept {
  const std::int64_t now = clock_ns();
  const std::int64_t took = now - began_ns_;
  began_ns_ = now;
  last_ = done;
  last_ns_ = took;
  if (done < chunk_) return now;  // what was left of the part
  if (took < chunk_ns / 2) {
    const std::int64_t growth = took > 0 ? chunk_ns / took : chunk_ns;
    chunk_ = done * std::min(static_cast<std::size_t>(growth), growth_max);
  } else if (took > chunk_ns * 2) {
    chunk_ = std::max(done / 2, grain_);
  }
  return now;
}

unsigned workers_here() noexcept {
  const worker& w = *current_worker();
  return w.shared ? static_cast<thread_pool&>(*w.home).workers() : 1;
}

bool has_share_behind(std::size_t k, std::size_t size) noexcept {
  const double middle_of_share = (current_worker()->index + 0.5) / workers_here();
  return static_cast<double>(size) * middle_of_share > static_cast<double>(k);
}

void parallel_job::begin_dividing() noexcept { may_divide_ = workers_here() > 1; }

void parallel_job::fail() noexcept {
  const std::exception_ptr e = std::current_exception();
  if (line_->stop_requested() && is_cancelled(e)) {
    cut_off();
    return;
  }
  if (failed_.exchange(true, std::memory_order_relaxed)) return;  // relaxed: as in halted()
  failure_ = e;
  if (group_ != nullptr) group_->cancel();
}

void parallel_job::rethrow() const {
  if (failure_ != nullptr) std::rethrow_exception(failure_);
  if (was_cut_off()) throw cancelled();
}

bool parallel_job::must_give_way(pace& p, std::size_t done) noexcept {
  worker& w = *current_worker();
  const std::int64_t now = p.chunk_done(done);
  // A turn of the worker may be made of many resumes, each of which works for a chunk: what has
  // come meanwhile is collected here.
  if (must_look(w, now)) {
    begin_turn(w);
    w.ring->poll();
  }
  return somebody_waits(w);
}

std::uint64_t processor_ticks() noexcept {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<std::uint64_t>(clock_ns()) * 2;
#endif
}

std::uint64_t ticks_since_last() noexcept {
  const std::uint64_t now = processor_ticks();
  return now - std::exchange(last_ticks, now);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// What one run of a parallel algorithm shares between the parts that work on it: whether to go on,
// what has failed, and whether a worker is hungry. The part that a template need not know is in
// parallel_job.cpp: the clock, how long a chunk is, and when others get their turn.
//
// Of two failures the first is kept. Whoever joined the parts reads it: their join hands it over.

#include "weft/runtime/operation.hpp"
#include "weft/runtime/worker.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>

namespace weft {
class task_group;
}

namespace weft::detail {

/// How fast a part works: it times its chunks, and makes them so long that a look at the clock,
/// at the scope and at the others is cheap, and so short that those need not wait for long.
class pace {
public:
  /// `grain` is the least length of a chunk, 0: one.
  explicit pace(std::size_t grain) noexcept
      : chunk_(grain == 0 ? 1 : grain), grain_(chunk_), given_(grain != 0) {}

  std::size_t chunk() const noexcept { return chunk_; }
  /// Whether `left` iterations are worth the trouble of dividing them.
  bool worth_dividing(std::size_t left) const noexcept {
    if (left <= grain_) return false;
    return last_ == 0 || given_ ||
           static_cast<double>(last_ns_) * static_cast<double>(left) >
               worth_ns * static_cast<double>(last_);
  }
  /// The clock starts (again): the coroutine has been suspended.
  void start() noexcept;
  /// A chunk of `done` iterations has ended; says what time it is.
  std::int64_t chunk_done(std::size_t done) noexcept;

private:
  /// Half of it is what handing over costs when somebody has to be woken for it.
  static constexpr double worth_ns = 10'000;

  std::size_t chunk_;
  std::size_t grain_;
  std::size_t last_ = 0;      // iterations of the last chunk; 0: there was none
  std::int64_t last_ns_ = 0;  // and how long it took
  std::int64_t began_ns_ = 0;
  bool given_;  // by the caller, who knows what a piece is worth
};

class parallel_job {
public:
  explicit parallel_job(std::size_t grain) noexcept : grain_(grain) {}
  /// Of one that does not run yet.
  parallel_job(parallel_job&& other) noexcept : grain_(other.grain_) {}
  parallel_job& operator=(parallel_job&&) = delete;

  std::size_t grain() const noexcept { return grain_; }

  /// The scope of `awaiting` stops it from here on. Thread: the one that awaits it.
  void begin(promise_base& awaiting) noexcept { line_ = &strand_of(awaiting); }
  /// It goes on as a coroutine, which divides it where there is more than one worker.
  void begin_dividing() noexcept;
  /// A failure stops `group`, too, which is the scope of all parts from here on.
  void stop_on_failure(task_group& group) noexcept { group_ = &group; }

  /// Whether the rest is not to be run: something has failed, or the scope is stopped.
  bool halted() const noexcept {
    return failed_.load(std::memory_order_relaxed)  // relaxed: a hint, the join hands it over
           || line_->stop_requested();
  }
  /// A part ended early because of that.
  void cut_off() noexcept {
    cut_off_.store(true, std::memory_order_relaxed);  // relaxed: the join hands it over
  }
  /// In a handler: what was thrown is the job's failure, unless it tells of the stop.
  [[gnu::cold]] void fail() noexcept;
  /// Whether some part has not come to its end. Thread: whoever joined the parts it asks about.
  bool is_incomplete() const noexcept {
    return failed_.load(std::memory_order_relaxed) || was_cut_off();  // relaxed: after the join
  }
  /// After the join: throws what has failed, or `cancelled` when a part was cut off.
  void rethrow() const;
  const std::exception_ptr& failure() const noexcept { return failure_; }
  bool was_cut_off() const noexcept {
    return cut_off_.load(std::memory_order_relaxed);  // relaxed: after the join
  }

  /// Whether a thief that comes here would find nothing: then it is time to divide. Never where
  /// nobody could come, and not while woken tasks wait, such as parts that gave way: else each of
  /// them would divide, and they would become more and more.
  bool is_hungry(const worker& w) const noexcept {
    return may_divide_ && !w.forks.offers() && !w.fifo.has_any();
  }
  bool may_divide() const noexcept { return may_divide_; }

  /// A chunk of `done` iterations has ended. True when others are waiting for this worker.
  bool must_give_way(pace& p, std::size_t done) noexcept;

private:
  const std::size_t grain_;
  bool may_divide_ = false;  // more than one worker takes from what is forked here
  strand* line_ = nullptr;   // of whoever awaits it
  task_group* group_ = nullptr;
  std::exception_ptr failure_;  // written by whoever sets failed_
  std::atomic<bool> failed_{false};
  std::atomic<bool> cut_off_{false};
};

/// How many take from what is forked by a task here.
unsigned workers_here() noexcept;

/// Whether this worker's share lies behind `k`, for the most part, if each worker has one of `size`
/// iterations, in their order. Who divides a range keeps the half where its share is: of two
/// workers each has the same half in every pass over it, and finds in its cache what is left there.
bool has_share_behind(std::size_t k, std::size_t size) noexcept;

/// Goes to the end of the queue of ready tasks, also under a stopped scope.
struct give_way : suspended, operation_tag {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept { current_worker()->give_way(*this); }
  void await_resume() const noexcept {}
};

/// The processor's counter, in units of a third to a half of a nanosecond.
std::uint64_t processor_ticks() noexcept;
/// How many of them ago this thread last asked this, or more: to tell a cheap body from a dear one
/// with one look at the counter, where cheap ones follow each other closely.
std::uint64_t ticks_since_last() noexcept;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// What the runtime room needs to know of a scheduler: whether its workers share tasks, and three
// cold calls (bring a message, wake a sleeper, read the clock). Both schedulers are built on it in
// sched/. A task never looks at it; wake-ups within a scheduler go through the worker record.
//
//   D1: a sender counts itself, publishes its message, rings the doorbell, uncounts itself
//   (release)
//       -> whoever got the message and ends the scheduler waits for zero (acquire): no doorbell is
//       rung that is gone, or whose descriptor is somebody else's by now.

#include "weft/runtime/detail/fork_deque.hpp"
#include "weft/runtime/detail/idle_workers.hpp"
#include "weft/runtime/message.hpp"

#include <atomic>
#include <cstdint>

namespace weft {

namespace detail {
struct worker;
class guest;
struct hosting;
}  // namespace detail

/// Where tasks run: an event_loop or a thread_pool.
///
/// Thread:   all of it is safe from any thread; the members are for the runtime itself.
/// Lifetime: outlives everything that was posted to it.
class scheduler {
public:
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  /// True when several workers take from the same ready work (a pool), false on an event loop,
  /// where nothing needs a lock.
  bool shared() const noexcept { return shared_; }

  /// Who takes what a worker of this scheduler forks.
  detail::forks_taken_by forks_taken_by() const noexcept { return forks_taken_by_; }

  /// Has some worker of this scheduler deliver `m`, soon. Thread: any.
  virtual void send(detail::message& m) noexcept = 0;

  /// Has exactly this worker deliver `m`. Thread: any.
  virtual void send_to(detail::worker& w, detail::message& m) noexcept = 0;

  /// Monotonic time in nanoseconds, from the scheduler's kernel.
  virtual std::int64_t now() noexcept = 0;

  /// Registers a group that lives on this scheduler but belongs to somebody outside: a run, or a
  /// task that came by on(). False when the scheduler is shutting down. Thread: any.
  [[nodiscard]] virtual bool admit(detail::guest& g) noexcept = 0;
  /// Its last task has ended. Publishes.
  virtual void dismiss(detail::guest& g) noexcept = 0;
  /// Who lives here, and who outside will wake them.
  virtual detail::hosting& hosting() noexcept = 0;
  /// Somebody outside begins, or ends, to hold what tasks here wait for: no silence is a deadlock
  /// meanwhile. Thread: any.
  virtual void hold_outside() noexcept = 0;
  virtual void release_outside() noexcept = 0;
  /// Has a worker that sleeps look whether it still has something to wait for. Thread: any.
  virtual void look_again() noexcept = 0;

  /// Called after a push that a sleeping worker might want.
  void notify_pushed() noexcept {
    if (idle_.should_wake()) [[unlikely]]
      wake_one();
  }

  /// A thread that sends. While one lives the doorbells of this scheduler stay where they are.
  class sending {
  public:
    explicit sending(scheduler& s) noexcept : scheduler_(s) {
      s.senders_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the message publishes it
    }
    ~sending() { scheduler_.senders_.fetch_sub(1, std::memory_order_release); }  // sync: D1
    sending(const sending&) = delete;
    sending& operator=(const sending&) = delete;

  private:
    scheduler& scheduler_;
  };

  /// A thread that acts on this scheduler's scopes from outside: made before it holds one.
  class outside_call {
  public:
    explicit outside_call(scheduler& s) noexcept : sending_(s), scheduler_(s) { s.hold_outside(); }
    ~outside_call() { scheduler_.release_outside(); }
    outside_call(const outside_call&) = delete;
    outside_call& operator=(const outside_call&) = delete;

  private:
    const sending sending_;  // the scheduler stays until the look is over
    scheduler& scheduler_;
  };

protected:
  bool somebody_sends() const noexcept {
    return senders_.load(std::memory_order_acquire) != 0;  // sync: D1
  }

  scheduler(bool shared, unsigned workers,
            detail::forks_taken_by forks = detail::forks_taken_by::owner)
      : shared_(shared), forks_taken_by_(forks), idle_(workers) {}
  ~scheduler() = default;

  virtual void wake_one() noexcept = 0;

  const bool shared_;
  const detail::forks_taken_by forks_taken_by_;
  detail::idle_workers<> idle_;

private:
  std::atomic<unsigned> senders_{0};
};

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// thread_pool: the same tasks on every core at once. Parallelism: tasks that are ready run at the
// same time, so what they share has to be guarded. Each worker has its own ring; a worker that runs
// dry steals from the others, and one that finds nothing sleeps in its ring.

#include "weft/sched/detail/main_task.hpp"
#include "weft/sched/guest.hpp"
#include "weft/sched/post.hpp"
#include "weft/sched/run_options.hpp"

#include <memory>
#include <source_location>

namespace weft {

/// A scheduler of `options.workers` threads (0: one per available core).
///
/// Thread:   run() and post() from any thread, several at once.
/// Lifetime: the destructor stops the tasks that are left, waits for them and joins the threads; in
///           a child that was forked meanwhile there are none, and their memory stays.
class thread_pool final : public scheduler {
public:
  /// Starts the threads and opens their rings.
  ///
  /// Errors: system_error that names what could not be had; nothing is left running then.
  explicit thread_pool(run_options options = {.workers = 0});
  ~thread_pool();

  /// Runs `main` on the pool and blocks the calling thread until it has ended.
  ///
  /// Returns:  main's value.
  /// Errors:   rethrows what escaped main; system_error(operation_canceled) instead of `cancelled`;
  ///           resource_deadlock_would_occur inside a task; operation_not_permitted in a child that
  ///           was forked after the pool was made.
  template <class T>
  T run(task<T> main) {
    refuse_in_forked_child();
    detail::main_task<T> all(*this, std::move(main));
    drive(all);
    return all.take();
  }

  /// Calls `fn()` on one of the workers.
  ///
  /// Shape:    a callable without result; an exception that escapes it ends the program.
  /// Errors:   bad_alloc.
  /// Thread:   any. What no worker has taken when the pool is destroyed is freed without a call.
  template <class F>
  void post(F&& fn, std::source_location where = std::source_location::current()) {
    send(detail::make_posted(std::forward<F>(fn), where));
  }

  /// The number of threads.
  unsigned workers() const noexcept;

  /// Whether something was sent here that no worker has taken yet; for who computes on one.
  bool has_messages() const noexcept;

  void send(detail::message& m) noexcept override;
  void send_to(detail::worker& w, detail::message& m) noexcept override;
  std::int64_t now() noexcept override;
  bool admit(detail::guest& g) noexcept override;
  void dismiss(detail::guest& g) noexcept override;
  detail::hosting& hosting() noexcept override;
  void hold_outside() noexcept override;
  void release_outside() noexcept override;
  void look_again() noexcept override;

private:
  struct seat;
  struct parts;
  struct left_alone;
  struct counted {};

  thread_pool(const run_options& options, counted);

  void wake_one() noexcept override;
  detail::message* take_message() noexcept;
  void refuse_in_forked_child() const;
  void drive(detail::main_task_base& main);
  void start_threads();
  void open_seat(seat& s) noexcept;
  void wait_for_the_others() noexcept;
  void work(seat& self) noexcept;
  detail::suspended* steal(seat& thief) noexcept;
  detail::suspended* steal_shared(seat& thief, left_alone* gone) noexcept;
  detail::suspended* steal_hidden(seat& thief) noexcept;
  detail::suspended* begin(seat& thief, seat& victim, detail::forked& f) noexcept;
  bool somebody_hides(const seat& thief) const noexcept;
  bool work_anywhere() const noexcept;
  std::uint64_t last_deadlocked(const seat& self) noexcept;

  std::unique_ptr<parts> parts_;  // fixed until the destructor
};

}  // namespace weft

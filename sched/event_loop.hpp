// SPDX-License-Identifier: MIT
#pragma once
// event_loop: any number of tasks on one thread, interleaved while they wait. Concurrency without
// parallelism: between two awaits a task has the thread, and everything on it, to itself.

#include "weft/sched/detail/main_task.hpp"
#include "weft/sched/guest.hpp"
#include "weft/sched/post.hpp"
#include "weft/sched/run_options.hpp"

#include <memory>
#include <source_location>

namespace weft {

/// One thread's scheduler.
///
/// Thread:   run() on one thread at a time; post() from any.
/// Lifetime: outlives what is posted to it. In a child that was forked meanwhile there are no
///           helper threads to join: there its memory stays.
class event_loop final : public scheduler {
public:
  /// Errors: bad_alloc. The ring is opened by run, on its thread.
  explicit event_loop(run_options options = {});
  ~event_loop();

  /// Runs `main` on this thread until it has ended, then stops and joins what else is left.
  ///
  /// Returns:  main's value.
  /// Errors:   rethrows what escaped main; system_error(operation_canceled) instead of `cancelled`;
  ///           system_error that names the call when io_uring cannot be had;
  ///           resource_deadlock_would_occur inside a task, and while another thread's run is in
  ///           progress; operation_not_permitted in a child that was forked after the loop was
  ///           made.
  template <class T>
  T run(task<T> main) {
    detail::main_task<T> all(*this, std::move(main));
    drive(all);
    return all.take();
  }

  /// Calls `fn()` on the loop's thread, between two tasks, in the order of posting.
  ///
  /// Shape:    a callable without result; an exception that escapes it ends the program.
  /// Errors:   bad_alloc.
  /// Thread:   any. Without a run in progress it waits for the next one.
  template <class F>
  void post(F&& fn, std::source_location where = std::source_location::current()) {
    send(detail::make_posted(std::forward<F>(fn), where));
  }

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
  struct parts;

  void wake_one() noexcept override {}
  void drive(detail::main_task_base& main);
  std::uint64_t last_deadlocked() noexcept;
  template <class Ended>
  void turn(Ended ended) noexcept;

  std::unique_ptr<parts> parts_;  // fixed until the destructor
};

}  // namespace weft

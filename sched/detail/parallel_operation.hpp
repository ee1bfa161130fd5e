// SPDX-License-Identifier: MIT
#pragma once
// The await of a parallel algorithm. It begins in place: a short range of a cheap body is a plain
// loop with a look or two at the processor's counter, and makes no coroutine. What turns out to
// take longer goes on in a coroutine, which divides it and gives others their turn; a body that
// returns tasks begins there. A job is what parallel_work.hpp asks for, and in addition has
//   size()            the number of iterations
//   result(part&)     what the await gives, once all have ended
//   value_type        its type

#include "weft/runtime/operation.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/parallel_work.hpp"

#include <coroutine>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// The part of an algorithm that runs as a coroutine. Tasks of the body run in a scope of their
/// own, so that the first failure stops the others where they wait.
template <class Job>
task<> drive(Job& job, typename Job::part& whole, std::size_t begin) {
  if constexpr (Job::awaits) {
    auto body = [&job, &whole, begin](task_group& group) -> task<> {
      job.stop_on_failure(group);
      task<> all = work(job, whole, begin, job.size(), pace(job.grain()));
      co_await std::move(all);
    };
    auto group = with_task_group(body);
    co_await std::move(group);
  } else {
    task<> all = work(job, whole, begin, job.size(), pace(job.grain()));
    co_await std::move(all);
  }
}

template <class Job>
class [[nodiscard]] parallel_operation : public operation_tag {
public:
  using value_type = typename Job::value_type;
  static constexpr const char* name = "a parallel algorithm";

  explicit parallel_operation(Job&& job) : job_(std::move(job)) {}
  /// Of one that was not awaited yet.
  parallel_operation(parallel_operation&& other) noexcept(std::is_nothrow_move_constructible_v<Job>)
      : job_(std::move(other.job_)) {}

  bool await_ready() noexcept {
    worker& w = *current_worker();
    job_.begin(*promise);
    if (job_.halted()) [[unlikely]] {
      w.note_refusal(*promise);
      job_.cut_off();
      ended_ = true;
    } else {
      run_in_place();
    }
    return ended_ && w.spend();
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> self) noexcept {
    if (ended_) {  // the budget is gone
      node_.promise = promise;
      current_worker()->ready(node_);
      return std::noop_coroutine();
    }
    job_.begin_dividing();
    try {
      rest_.emplace(drive(job_, whole_, done_));
    } catch (...) {
      job_.fail();
      return self;
    }
    return promise->call(task_access::promise(*rest_));
  }
  value_type await_resume() {
    if (rest_) task_access::finished(*rest_).take();
    job_.rethrow();
    return job_.result(whole_);
  }
  /// For as_result: a stop as a value, failures are thrown.
  result<value_type> outcome() {
    if (job_.failure() == nullptr && job_.was_cut_off()) return failure{cancelled_code()};
    if constexpr (std::is_void_v<value_type>) {
      await_resume();
      return {};
    } else {
      return result<value_type>(std::in_place, await_resume());
    }
  }

  promise_base* promise = nullptr;

private:
  // About 10 us: what handing a half over would gain at best is spent on waking somebody for it.
  static constexpr double in_place_ticks = 25'000;
  static constexpr std::size_t few = 64;

  void run_in_place() noexcept {
    const std::size_t count = job_.size();
    if (count == 0) {
      ended_ = true;
      return;
    }
    if constexpr (!Job::awaits) {
      if (job_.grain() != 0 && count > job_.grain()) return;
      try {
        done_ = run_while_cheap(count);
        ended_ = done_ == count;
      } catch (...) {
        job_.fail();
        ended_ = true;
      }
    }
  }
  /// Runs ever more iterations as long as all of them promise to be cheap; says how many ran. All
  /// of them when they are no more than the grain.
  ///
  /// The body is called at one place: where two lead to one handler, clang 19 at -O1 with a
  /// sanitizer hands it the number of iterations in the place of the exception.
  std::size_t run_while_cheap(std::size_t count) {
    // Of few a look at the counter would be the dearest part, so it is not known when they began.
    const bool is_timed = count > few && job_.grain() == 0;
    if (is_timed) (void)ticks_since_last();
    // One iteration may be all that is worth a core; but the first one is often special. So where
    // it seems dear another one is asked, unless that is as long as handing over takes.
    std::size_t next = job_.grain() != 0 ? count : count > 8 && !is_timed ? 2 : 1;
    std::size_t done = 0;
    bool is_first = true;
    for (;;) {
      job_.run(whole_, done, done + next);
      done += next;
      if (done == count) return count;
      const auto took = static_cast<double>(ticks_since_last());
      if (took * static_cast<double>(count) < in_place_ticks * static_cast<double>(next))
        next = is_timed ? 16 * done : count;
      else if (!is_first || (is_timed && took > in_place_ticks))
        return done;
      else
        next = 1;
      is_first = false;
      if (next > count - done) next = count - done;
    }
  }

  Job job_;
  typename Job::part whole_{};
  bool ended_ = false;
  std::size_t done_ = 0;
  std::optional<task<>> rest_;
  suspended node_;
};

}  // namespace weft::detail

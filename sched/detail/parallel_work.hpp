// SPDX-License-Identifier: MIT
#pragma once
// How a job is worked through: a part runs its piece chunk by chunk, in order, and looks up after
// each. Only when a thief would find nothing it divides what is left into two parts (lazy binary
// splitting: Tzannes, Caragea, Barua, Vishkin, PPoPP 2010), so where nobody steals nothing is
// divided, and a range costs what its loop costs. A job supplies
//   part                           what a part gathers; of its own, so nobody else writes it
//   run(part&, begin, end)         runs a piece in place: a plain loop
//   call(k), keep(part&, value)    where `awaits`: the task of one iteration, and its value
//   middle(part&, begin, end)      where the rest of a part is divided; `end`: it cannot be
//   part_from(part&, middle)       a part for what is behind that
//   join(part&, part&)             adds what the part behind it has gathered, when both have ended;
//                                  may return a task<>
// where it is a pass over a whole range
//   size()                         the number of iterations
// and where it must keep things in order by itself
//   divided(part&)                 the part ends at its middle from here on
//   give_up(part&)                 a part of this job was broken off, or this one: what is left of
//                                  it will not be run; harmless when nothing is left
// in order, so that an operation on the parts need not be commutative.

#include "weft/runtime/task.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/parallel_job.hpp"

#include <cstddef>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class Job>
task<> work(Job& job, typename Job::part& into, std::size_t begin, std::size_t end, pace p);

/// The two halves of what is left of a part; the worker that divides it begins with the first.
struct halves {
  std::optional<task<>> first;
  std::optional<task<>> second;

  /// False when there is no memory for two frames: the part goes on alone.
  template <class Job>
  bool make(Job& job, typename Job::part& into, typename Job::part& behind, std::size_t begin,
            std::size_t middle, std::size_t end, const pace& p) noexcept {
    try {
      first.emplace(work(job, into, begin, middle, p));
      second.emplace(work(job, behind, middle, end, p));
      return true;
    } catch (const std::bad_alloc&) {
      first.reset();
      return false;
    }
  }
};

template <class Job>
task<> run_iterations(Job& job, typename Job::part& into, std::size_t begin, std::size_t end) {
  for (std::size_t k = begin; k != end; ++k) {
    auto one = job.call(k);
    if constexpr (std::is_void_v<typename decltype(one)::value_type>) {
      co_await std::move(one);
    } else {
      auto&& value = co_await std::move(one);
      job.keep(into, k, static_cast<decltype(value)&&>(value));
    }
  }
}

/// Runs both halves, and joins them unless something was left out. False when there are none, or
/// no memory for two frames: the part goes on alone.
template <class Job>
task<bool> divide(Job& job, typename Job::part& into, std::size_t begin, std::size_t end,
                  const pace& p) {
  const std::size_t middle = job.middle(into, begin, end);
  if (middle == end) co_return false;
  typename Job::part behind = job.part_from(into, middle);
  halves both;
  if (!both.make(job, into, behind, begin, middle, end, p)) co_return false;
  if constexpr (requires { job.divided(into); }) job.divided(into);
  if constexpr (requires { job.size(); })
    if (has_share_behind(middle, job.size())) both.first.swap(both.second);
  auto ended = when_all(*std::move(both.first), *std::move(both.second));
  co_await ended;
  if (!job.is_incomplete()) {
    if constexpr (std::is_void_v<decltype(job.join(into, behind))>) {
      job.join(into, behind);
    } else {
      task<> joining = job.join(into, behind);
      co_await std::move(joining);
    }
  }
  co_return true;
}

/// None when there is no memory for its frame.
template <class Job>
std::optional<task<bool>> try_divide(Job& job, typename Job::part& into, std::size_t begin,
                                     std::size_t end, const pace& p) noexcept {
  try {
    return divide(job, into, begin, end, p);
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

template <class Job>
task<> work(Job& job, typename Job::part& into, std::size_t begin, std::size_t end, pace p) {
  p.start();
  bool alone = false;
  try {
    while (begin != end) {
      if (job.halted()) {
        job.cut_off();
        break;
      }
      if (!alone && p.worth_dividing(end - begin) && job.is_hungry(*current_worker())) {
        alone = true;
        std::optional<task<bool>> dividing = try_divide(job, into, begin, end, p);
        if (dividing) {
          const bool divided = co_await *std::move(dividing);
          if (divided) co_return;
          p.start();
        }
      }
      const std::size_t step = end - begin < p.chunk() ? end - begin : p.chunk();
      if constexpr (Job::awaits) {
        task<> iterations = run_iterations(job, into, begin, begin + step);
        co_await std::move(iterations);
      } else {
        job.run(into, begin, begin + step);
      }
      begin += step;
      if (job.must_give_way(p, step)) {
        give_way others;
        co_await others;
        p.start();
      }
    }
  } catch (...) {
    job.fail();
  }
  if constexpr (requires { job.give_up(into); })
    if (job.is_incomplete()) job.give_up(into);
}

}  // namespace weft::detail

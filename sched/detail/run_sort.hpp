// SPDX-License-Identifier: MIT
#pragma once
// Which sort is used for what, and what both begin and end with.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/merge_sort.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/detail/quick_sort.hpp"
#include "weft/sched/detail/short_sort.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

namespace weft::detail {

struct ascending {
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    return a < b;
  }
};

/// Looks from the beginning as long as the elements are in order already; says how many are.
template <class It, class Less>
task<std::size_t> count_sorted(parallel_job& job, It first, std::size_t count, const Less& less) {
  constexpr std::size_t step = 4096;
  pace p(0);
  p.start();
  std::size_t done = 1;
  while (done < count && !job.halted()) {
    const std::size_t end = count - done < step ? count : done + step;
    const auto at = [&](std::size_t i) {
      return first + static_cast<std::iter_difference_t<It>>(i);
    };
    const It last = at(end);
    const It wrong = std::is_sorted_until(at(done - 1), last, less);
    if (wrong != last) co_return static_cast<std::size_t>(wrong - first);
    const bool give = job.must_give_way(p, end - done);
    done = end;
    if (give) {
      give_way others;
      co_await others;
      p.start();
    }
  }
  co_return done;
}

template <bool Stable, class It, class Less>
task<> sort_whole(parallel_job& job, It first, std::size_t count, const Less& less) {
  task<std::size_t> looking = count_sorted(job, first, count, less);
  const std::size_t sorted = co_await std::move(looking);
  if (sorted == count) co_return;
  if constexpr (!Stable) {
    task<> sorting =
        quick_sort(job, first, count, less, 4 + static_cast<int>(std::bit_width(count)));
    co_await std::move(sorting);
  } else {
    task<> sorting = merge_sort_all(job, first, count, less, true);
    co_await std::move(sorting);
  }
}

template <bool Stable, class It, class Less>
task<> run_sort(iterator_source<It> source, Less less) {
  own_promise own;
  promise_base& self = co_await own;
  parallel_job job(0);
  job.begin(self);
  if (job.halted()) throw cancelled();
  if (source.count <= inserted_max) {
    const auto count = static_cast<std::iter_difference_t<It>>(source.count);
    insertion_sort(source.first, source.first + count, less);
    co_return;
  }
  job.begin_dividing();
  task<> sorting = sort_whole<Stable>(job, source.first, source.count, less);
  co_await std::move(sorting);
  job.rethrow();
}

template <bool Stable, class It, class Less>
task<> make_sort(const iterator_source<It>& source, Less&& less) {
  using value = std::iter_value_t<It>;
  static_assert(std::is_same_v<std::iter_reference_t<It>, value&>,
                "weft: only elements can be sorted that an iterator gives a reference to");
  static_assert(std::is_nothrow_move_constructible_v<value> &&
                    std::is_nothrow_move_assignable_v<value>,
                "weft: elements are moved between the range and a buffer, which must not fail: "
                "sort pointers or indices to them");
  static_assert(safe_as_temporary<Less>,
                "weft: name the lambda first (auto less = [...]; co_await parallel_sort(..., "
                "less)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  return run_sort<Stable, It, std::decay_t<Less>>(source, std::forward<Less>(less));
}

}  // namespace weft::detail

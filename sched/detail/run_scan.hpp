// SPDX-License-Identifier: MIT
#pragma once
// How scans run: the segments are worked through chunk by chunk like every job, but none is
// divided.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/detail/parallel_work.hpp"
#include "weft/sched/detail/transform_body.hpp"
#include "weft/sched/parallel_options.hpp"

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::detail {

template <bool Inclusive, class In, class Out, class T, class Op>
class scan_job : public parallel_job {
public:
  static constexpr bool awaits = false;
  struct part {
    std::optional<T> total;
    bool writes = false;  // else it only adds up
  };

  scan_job(const In& in, const Out& out, const Op& op, std::size_t grain) noexcept
      : parallel_job(grain), in_(in), out_(out), op_(op) {}

  void run(part& p, std::size_t begin, std::size_t end) const {
    if (p.writes)
      write(in_, out_, op_, *p.total, begin, end);
    else
      add_up(in_, op_, p.total, begin, end);
  }
  static std::size_t middle(const part&, std::size_t begin, std::size_t) noexcept { return begin; }
  static part part_from(const part&, std::size_t) noexcept { return {}; }
  static void join(part&, part&) noexcept {}

private:
  /// Between two looks ahead in memory.
  static constexpr std::size_t stretch = 16;

  [[gnu::noinline]] static void write(In in, Out out, const Op& op, T& total, std::size_t begin,
                                      std::size_t end) {
    T sum = std::move(total);
    const auto add = [&](std::size_t k) {
      if constexpr (Inclusive) {
        sum = op(std::move(sum), element(in, k));
        element(out, k) = sum;
      } else {
        T next = op(sum, element(in, k));  // before it is overwritten
        element(out, k) = std::move(sum);
        sum = std::move(next);
      }
    };
    std::size_t k = begin;
    for (; end - k >= stretch; k += stretch) {
      fetch_ahead<stretch>(in + static_cast<std::iter_difference_t<In>>(k));
      fetch_ahead<stretch, true>(out + static_cast<std::iter_difference_t<Out>>(k));
      for (std::size_t i = 0; i != stretch; ++i) add(k + i);
    }
    for (; k != end; ++k) add(k);
    total = std::move(sum);
  }
  [[gnu::noinline]] static void add_up(In in, const Op& op, std::optional<T>& total,
                                       std::size_t begin, std::size_t end) {
    T sum = total ? static_cast<T>(op(*std::move(total), element(in, begin)))
                  : static_cast<T>(element(in, begin));
    std::size_t k = begin + 1;
    for (; end - k >= stretch; k += stretch) {
      fetch_ahead<stretch>(in + static_cast<std::iter_difference_t<In>>(k));
      for (std::size_t i = 0; i != stretch; ++i) sum = op(std::move(sum), element(in, k + i));
    }
    for (; k != end; ++k) sum = op(std::move(sum), element(in, k));
    total = std::move(sum);
  }

  const In in_;
  const Out out_;
  const Op& op_;
};

template <bool Inclusive, class In, class Out, class T, class Op>
task<> run_scan(iterator_source<In> in, Out out, T init, Op op, parallel_options options) {
  using job_type = scan_job<Inclusive, In, Out, T, Op>;
  using part = typename job_type::part;
  own_promise own;
  promise_base& self = co_await own;
  job_type job(in.first, out, op, options.grain);
  job.begin(self);
  if (job.halted()) throw cancelled();
  const std::size_t least = options.grain != 0 ? options.grain : 4096;
  std::size_t segments = workers_here() + 1;
  if (segments == 2) segments = 1;
  if (segments > in.count / least) segments = in.count / least + 1;
  const auto border = [&](std::size_t i) {
    return in.count / segments * i + (i == segments ? in.count % segments : 0);
  };

  std::vector<part> parts(segments);
  parts[0].total.emplace(std::move(init));
  parts[0].writes = true;
  std::vector<task<>> running;
  running.reserve(segments);
  for (std::size_t i = 0; i + 1 < segments || i == 0; ++i)
    running.push_back(work(job, parts[i], border(i), border(i + 1), pace(options.grain)));
  auto first_pass = when_all(std::move(running));
  co_await first_pass;
  job.rethrow();
  if (segments == 1) co_return;

  T before = *std::move(parts[0].total);
  for (std::size_t i = 1; i < segments; ++i) {
    T until = parts[i].total ? static_cast<T>(op(before, *std::move(parts[i].total))) : before;
    parts[i].total.emplace(std::move(before));
    parts[i].writes = true;
    before = std::move(until);
  }
  std::vector<task<>> writing;
  writing.reserve(segments - 1);
  for (std::size_t i = 1; i < segments; ++i)
    writing.push_back(work(job, parts[i], border(i), border(i + 1), pace(options.grain)));
  auto second_pass = when_all(std::move(writing));
  co_await second_pass;
  job.rethrow();
}

template <bool Inclusive, class In, class Out, class T, class Op>
task<> make_scan(const iterator_source<In>& in, Out out, T init, Op&& op,
                 const parallel_options& options) {
  static_assert(
      safe_as_temporary<Op>,
      "weft: name the lambda first (auto op = [...]; co_await parallel_inclusive_scan("
      "..., op)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  return run_scan<Inclusive, In, Out, T, std::decay_t<Op>>(in, out, std::move(init),
                                                           std::forward<Op>(op), options);
}

}  // namespace weft::detail

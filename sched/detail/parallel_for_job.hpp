// SPDX-License-Identifier: MIT
#pragma once
// The job of parallel_for and of those that are made of it: a body called for each point of a
// source. Its parts gather nothing.

#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/parallel_operation.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/detail/trial.hpp"
#include "weft/sched/parallel_options.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class Source, class Body>
inline constexpr bool is_awaited_body = is_task<std::remove_cvref_t<call_result_t<Source, Body>>>;

/// How many iterations lie between two looks ahead in memory.
inline constexpr std::size_t stretch = 64;
template <class Source>
concept looks_ahead = requires(const Source& s) { s.template fetch_ahead<stretch>(0); };

/// Visits a piece of a source, and asks for the memory ahead.
template <looks_ahead Source, class Body>
[[gnu::always_inline]] inline void visit_looking_ahead(const Source& source, std::size_t begin,
                                                       std::size_t end, const Body& body) {
  for (; end - begin >= stretch; begin += stretch) {
    source.template fetch_ahead<stretch>(begin);
    source.visit(begin, begin + stretch, body);
  }
  source.visit(begin, end, body);
}

/// Calls a body for a piece of a source: by itself, so that it is one plain loop to the optimiser
/// whoever calls it. A small body is copied, so that nothing that it writes can be part of it.
template <bool LookAhead, class Source, class Body>
[[gnu::noinline]] void visit_piece(const Source& source, const Body& body, std::size_t begin,
                                   std::size_t end) {
  const Source here = source;
  const auto visit = [&](const Body& f) {
    if constexpr (LookAhead)
      visit_looking_ahead(here, begin, end, f);
    else
      here.visit(begin, end, f);
  };
  if constexpr (std::is_trivially_copyable_v<Body> && sizeof(Body) <= 64) {
    const Body own = body;
    visit(own);
  } else {
    visit(body);
  }
}

template <class Source, class Body>
class for_job : public parallel_job {
public:
  using value_type = void;
  static constexpr bool awaits = is_awaited_body<Source, const Body>;
  /// Whether to look ahead in memory. The part behind it begins with what is known by then.
  struct part {
    trial looking_ahead;
  };

  template <class B>
  for_job(const Source& source, B&& body, const parallel_options& options)
      : parallel_job(options.grain), source_(source), body_(std::forward<B>(body)) {}

  std::size_t size() const noexcept { return source_.size(); }
  void run(part& p, std::size_t begin, std::size_t end) const {
    if constexpr (looks_ahead<Source>) {
      // What a short piece uses is in a cache, or not worth the trouble.
      if (end - begin >= 64 * stretch) return run_long(p.looking_ahead, begin, end);
    }
    visit_piece<false>(source_, body_, begin, end);
  }
  auto call(std::size_t k) const { return source_.at(k, body_); }
  static std::size_t middle(const part&, std::size_t begin, std::size_t end) noexcept {
    return begin + (end - begin) / 2;
  }
  static part part_from(const part& p, std::size_t) noexcept { return p; }
  static void join(part&, part&) noexcept {}
  void result(part&) const noexcept {}

private:
  void run_long(trial& ahead, std::size_t begin, std::size_t end) const {
    const std::uint64_t before = ahead.is_over() ? 0 : processor_ticks();
    if (ahead.takes_second())
      visit_piece<true>(source_, body_, begin, end);
    else
      visit_piece<false>(source_, body_, begin, end);
    if (ahead.is_over()) return;
    ahead.cost(static_cast<double>(processor_ticks() - before) / static_cast<double>(end - begin));
  }

  Source source_;
  Body body_;
};

template <class Source, class Body>
auto make_parallel_for(const Source& source, Body&& body, const parallel_options& options) {
  using body_type = std::decay_t<Body>;
  static_assert(safe_as_temporary<Body>,
                "weft: name the lambda first (auto body = [...]; co_await parallel_for(0, n, "
                "body)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  static_assert(
      requires(const body_type& b) { source.at(0, b); },
      "weft: the body of a parallel algorithm is called by several threads at a time, as "
      "a const object (no mutable lambda), with the element or the index, or with one "
      "index for each dimension");
  using job = for_job<Source, body_type>;
  return parallel_operation<job>(job(source, std::forward<Body>(body), options));
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The job of parallel_reduce. Blocks of neighbours, whose length depends on their number and the
// grain only, are the leaves of a tree: a node over more than one leaf has as its left child the
// greatest power of two of them that leaves some for the right one. A part goes through its leaves
// from left to right, holding the values of complete nodes (partials), and is divided between the
// two children of a node only. So the same values are combined whoever does it.

#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/parallel_for_job.hpp"
#include "weft/sched/detail/parallel_operation.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/parallel_options.hpp"

#include <bit>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// What an overload takes as the operation that combines: not the options behind it.
template <class Op>
concept combines_values = !std::same_as<std::remove_cvref_t<Op>, parallel_options>;

struct as_it_is {
  template <class X>
  X&& operator()(X&& x) const noexcept {
    return static_cast<X&&>(x);
  }
};

/// The values of complete nodes, left to right, each over fewer leaves than the one before.
template <class T, std::size_t Max>
class partials {
public:
  explicit partials(std::size_t first_leaf = 0) noexcept : origin_(first_leaf) {}
  partials(const partials&) = delete;
  partials& operator=(const partials&) = delete;
  ~partials() {
    while (depth_ != 0) pop();
  }

  std::size_t origin() const noexcept { return origin_; }
  bool empty() const noexcept { return depth_ == 0; }
  T& top() noexcept { return slots_[depth_ - 1].value; }
  std::size_t top_leaves() const noexcept { return leaves_[depth_ - 1]; }

  /// Adds the value of a node over `leaves`, behind all others.
  template <class Op>
  void push(T value, std::size_t leaves, const Op& op) {
    while (depth_ != 0 && top_leaves() == leaves) {
      value = op(std::move(top()), std::move(value));
      leaves *= 2;
      pop();
    }
    std::construct_at(std::addressof(slots_[depth_].value), std::move(value));
    leaves_[depth_++] = leaves;
  }
  /// Makes one value of all; there is one at least.
  template <class Op>
  void collapse(const Op& op) {
    while (depth_ > 1) {
      slot& left = slots_[depth_ - 2];
      left.value = op(std::move(left.value), std::move(top()));
      leaves_[depth_ - 2] += top_leaves();
      pop();
    }
  }

private:
  union slot {
    slot() noexcept {}
    ~slot() {}
    T value;
  };

  void pop() noexcept {
    std::destroy_at(std::addressof(top()));
    --depth_;
  }

  const std::size_t origin_;  // the first leaf of the part
  std::size_t depth_ = 0;
  std::size_t leaves_[Max];
  slot slots_[Max];
};

/// How many neighbours are combined by themselves, in four streams of four: a processor adds four
/// in the time that one chain of additions takes for one.
template <class T, class Source>
inline constexpr std::size_t unit_max = std::is_arithmetic_v<T> && !is_space<Source> ? 16 : 1;

/// Adds the iterations from begin to before end to what there is of their leaf. `begin` is a
/// multiple of the unit, and `end` unless the range ends there.
template <class T, class Source, class Map, class Op>
[[gnu::noinline]] void reduce_units(const Source& all, const Map& map, const Op& op,
                                    std::optional<T>& sum, std::size_t begin, std::size_t end,
                                    std::size_t unit) {
  const Source source = all;
  std::size_t k = begin;
  if (!sum) sum.emplace(static_cast<T>(source.at(k++, map)));
  T value = std::move(*sum);
  if constexpr (unit_max<T, Source> != 1) {
    if (unit == unit_max<T, Source>) {
      // The first unit of a leaf has lost its first element to `value`: it is not a whole one.
      for (; k != end && k % unit != 0; ++k) value = op(value, source.at(k, map));
      for (; end - k >= unit; k += unit) {
        if constexpr (requires { source.template fetch_ahead<unit_max<T, Source>>(k); })
          source.template fetch_ahead<unit_max<T, Source>>(k);
        T a = static_cast<T>(source.at(k, map));
        T b = static_cast<T>(source.at(k + 4, map));
        T c = static_cast<T>(source.at(k + 8, map));
        T d = static_cast<T>(source.at(k + 12, map));
        for (std::size_t j = 1; j != 4; ++j) {
          a = op(a, source.at(k + j, map));
          b = op(b, source.at(k + 4 + j, map));
          c = op(c, source.at(k + 8 + j, map));
          d = op(d, source.at(k + 12 + j, map));
        }
        value = op(value, op(op(a, b), op(c, d)));
      }
    }
  }
  if (k != end) {
    auto add = [&]<class... X>(X&&... x) {
      value = op(std::move(value), map(std::forward<X>(x)...));
    };
    source.visit(k, end, add);
  }
  *sum = std::move(value);
}

template <class Source, class T, class Map, class Op>
class reduce_job : public parallel_job {
public:
  using value_type = T;
  static constexpr bool awaits = is_awaited_body<Source, const Map>;
  /// Values of leaves that are complete, and what there is of one that isn't.
  struct part : partials<T, 24> {
    using partials<T, 24>::partials;
    std::optional<T> open;
  };

  template <class M, class O>
  reduce_job(const Source& source, T&& init, M&& map, O&& op, const parallel_options& options)
      : reduce_job(source, std::move(init), std::forward<M>(map), std::forward<O>(op),
                   unit_length(options.grain), options.grain) {}

  /// In units, as everything that follows.
  std::size_t size() const noexcept {
    const std::size_t count = source_.size();
    return count == 0 ? 0 : (count - 1) / unit_ + 1;
  }
  void run(part& into, std::size_t begin, std::size_t end) const {
    const std::size_t count = source_.size();
    while (begin != end) {
      const std::size_t rest = leaf_ - begin % leaf_;  // of this leaf
      const std::size_t step = end - begin < rest ? end - begin : rest;
      const std::size_t last = (begin + step) * unit_;
      reduce_units(source_, map_, op_, into.open, begin * unit_, last < count ? last : count,
                   unit_);
      begin += step;
      if (step == rest || last >= count) close_leaf(into);
    }
  }
  auto call(std::size_t k) const { return source_.at(k, map_); }
  template <class V>
  void keep(part& into, std::size_t k, V&& value) const {
    if (into.open)
      into.open = op_(*std::move(into.open), std::forward<V>(value));
    else
      into.open.emplace(static_cast<T>(std::forward<V>(value)));
    if ((k + 1) % leaf_ == 0 || k + 1 == source_.size()) close_leaf(into);
  }
  /// Where the second child begins of the topmost node whose first one is not complete; the end
  /// when there is none.
  std::size_t middle(const part& p, std::size_t begin, std::size_t end) const noexcept {
    const std::size_t leaf = begin / leaf_;
    const std::size_t last = (end - 1) / leaf_ + 1;
    std::size_t first = p.origin();
    while (last - first > 1) {
      const std::size_t second = first + std::bit_floor(last - first - 1);
      if (second > leaf) return second * leaf_;
      first = second;
    }
    return end;
  }
  part part_from(const part&, std::size_t unit) const noexcept { return part(unit / leaf_); }
  void join(part& left, part& right) const {
    right.collapse(op_);
    left.push(std::move(right.top()), right.top_leaves(), op_);
  }
  T result(part& all) {
    if (all.empty()) return std::move(init_);
    all.collapse(op_);
    return static_cast<T>(op_(std::move(init_), std::move(all.top())));
  }

private:
  template <class M, class O>
  reduce_job(const Source& source, T&& init, M&& map, O&& op, std::size_t unit, std::size_t grain)
      : parallel_job(grain == 0 ? 0 : leaf_length(source.size(), unit, grain)), source_(source),
        unit_(unit), leaf_(leaf_length(source.size(), unit, grain)), init_(std::move(init)),
        map_(std::forward<M>(map)), op_(std::forward<O>(op)) {}

  static std::size_t unit_length(std::size_t grain) noexcept {
    if (awaits) return 1;
    return grain == 0 || grain > unit_max<T, Source> ? unit_max<T, Source> : grain;
  }
  /// In units; there are 2^20 leaves at most.
  static std::size_t leaf_length(std::size_t count, std::size_t unit, std::size_t grain) noexcept {
    const std::size_t least = (count >> 20) + 1;
    std::size_t length = grain;
    if (grain == 0) length = count / 256 < 32 ? 32 : count / 256 > 4096 ? 4096 : count / 256;
    return ((length < least ? least : length) + unit - 1) / unit;
  }
  void close_leaf(part& p) const {
    p.push(*std::move(p.open), 1, op_);
    p.open.reset();
  }

  Source source_;
  std::size_t unit_;
  std::size_t leaf_;
  T init_;
  Map map_;
  Op op_;
};

template <class Source, class T, class Map, class Op>
auto make_reduce(const Source& source, T init, Map&& map, Op&& op,
                 const parallel_options& options) {
  using map_type = std::decay_t<Map>;
  using op_type = std::decay_t<Op>;
  static_assert(safe_as_temporary<Map> && safe_as_temporary<Op>,
                "weft: name the lambda first (auto map = [...]; co_await parallel_reduce(..., map, "
                "op)): g++ 12 destroys the captures of a temporary lambda twice in a co_await");
  static_assert(
      requires(const map_type& m) { source.at(0, m); },
      "weft: map is called by several threads at a time, as a const object (no mutable "
      "lambda), with the element or the index, or with one index for each dimension");
  static_assert(
      requires(const op_type& o, T a, T b) { static_cast<T>(o(std::move(a), std::move(b))); },
      "weft: op combines two values of the type of init to one, called as a const object");
  using job = reduce_job<Source, T, map_type, op_type>;
  return parallel_operation<job>(
      job(source, std::move(init), std::forward<Map>(map), std::forward<Op>(op), options));
}

}  // namespace weft::detail

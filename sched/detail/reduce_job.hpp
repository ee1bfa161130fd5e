// SPDX-License-Identifier: MIT
#pragma once
// The job of parallel_reduce. Its unit is a block of neighbours, whose length depends on their
// number only. Blocks are the leaves of a tree: a node over more than one leaf has as its left
// child the greatest power of two of them that leaves some for the right one. A part goes through
// its leaves from left to right, holding the values of complete nodes (partials), and is divided
// between the two children of a node only. So the same values are combined whoever does it.

#include "weft/runtime/task_group.hpp"
#include "weft/sched/detail/parallel_for_job.hpp"
#include "weft/sched/detail/parallel_operation.hpp"
#include "weft/sched/detail/parallel_source.hpp"
#include "weft/sched/parallel_options.hpp"

#include <bit>
#include <concepts>
#include <cstddef>
#include <memory>
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

/// The value of one block. Numbers are combined in four streams of 16, neighbours of each other: a
/// processor adds four in the time that one chain of additions takes for one.
template <class T, class Source, class Map, class Op>
[[gnu::noinline]] T reduce_block(const Source& all, const Map& map, const Op& op, std::size_t begin,
                                 std::size_t end) {
  const Source source = all;
  T value = static_cast<T>(source.at(begin, map));
  std::size_t k = begin + 1;
  if constexpr (std::is_arithmetic_v<T> && !is_space<Source>) {
    constexpr std::size_t length = 16;
    for (; end - k >= 4 * length; k += 4 * length) {
      T a = static_cast<T>(source.at(k, map));
      T b = static_cast<T>(source.at(k + length, map));
      T c = static_cast<T>(source.at(k + 2 * length, map));
      T d = static_cast<T>(source.at(k + 3 * length, map));
      for (std::size_t j = 1; j != length; ++j) {
        a = op(a, source.at(k + j, map));
        b = op(b, source.at(k + length + j, map));
        c = op(c, source.at(k + 2 * length + j, map));
        d = op(d, source.at(k + 3 * length + j, map));
      }
      value = op(value, op(op(a, b), op(c, d)));
    }
  }
  if (k != end) {
    auto add = [&]<class... X>(X&&... x) {
      value = op(std::move(value), map(std::forward<X>(x)...));
    };
    source.visit(k, end, add);
  }
  return value;
}

template <class Source, class T, class Map, class Op>
class reduce_job : public parallel_job {
public:
  using value_type = T;
  static constexpr bool awaits = is_awaited_body<Source, const Map>;
  // Leaves: 2^20 at most, or one for each iteration that is awaited.
  using part = partials<T, awaits ? 66 : 24>;

  template <class M, class O>
  reduce_job(const Source& source, T&& init, M&& map, O&& op, const parallel_options& options)
      : parallel_job(awaits || options.grain == 0 ? options.grain : 1), source_(source),
        block_(block_length(source.size(), options.grain)), init_(std::move(init)),
        map_(std::forward<M>(map)), op_(std::forward<O>(op)) {}

  std::size_t size() const noexcept {
    const std::size_t count = source_.size();
    return count == 0 ? 0 : (count - 1) / block_ + 1;
  }
  void run(part& into, std::size_t begin, std::size_t end) const {
    const std::size_t count = source_.size();
    for (std::size_t leaf = begin; leaf != end; ++leaf) {
      const std::size_t first = leaf * block_;
      const std::size_t last = count - first < block_ ? count : first + block_;
      into.push(reduce_block<T>(source_, map_, op_, first, last), 1, op_);
    }
  }
  auto call(std::size_t k) const { return source_.at(k, map_); }
  template <class V>
  void keep(part& into, std::size_t, V&& value) const {
    into.push(static_cast<T>(std::forward<V>(value)), 1, op_);
  }
  /// Where the second child begins of the topmost node whose first one is not complete.
  static std::size_t middle(const part& p, std::size_t begin, std::size_t end) noexcept {
    std::size_t first = p.origin();
    for (;;) {
      const std::size_t second = first + std::bit_floor(end - first - 1);
      if (second > begin) return second;
      first = second;
    }
  }
  static part part_from(std::size_t first_leaf) noexcept { return part(first_leaf); }
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
  static std::size_t block_length(std::size_t count, std::size_t grain) noexcept {
    if (awaits) return 1;
    const std::size_t least = (count >> 20) + 1;
    std::size_t length = grain;
    if (grain == 0) length = count / 256 < 32 ? 32 : count / 256 > 4096 ? 4096 : count / 256;
    return length < least ? least : length;
  }

  Source source_;
  std::size_t block_;
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

// SPDX-License-Identifier: MIT
#pragma once
// What a parallel algorithm runs over, seen as the numbers 0..size(): a source turns a piece of
// them into calls of a body, in a plain counted loop that a compiler can unroll and vectorise. It
// knows neither tasks nor workers.

#include "weft/runtime/atomics.hpp"
#include "weft/sched/index_space.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// first, first + 1, ...: the body gets the number.
template <std::integral I>
struct index_source {
  I first;
  std::size_t count;

  std::size_t size() const noexcept { return count; }
  template <class F>
  decltype(auto) at(std::size_t k, F& f) const {
    return f(static_cast<I>(first + static_cast<I>(k)));
  }
  template <class F>
  void visit(std::size_t begin, std::size_t end, F& f) const {
    // Counted by itself: an index narrower than std::size_t would have to be kept from wrapping.
    I i = static_cast<I>(first + static_cast<I>(begin));
    for (std::size_t left = end - begin; left != 0; --left, ++i) f(i);
  }
};

template <class I, class J>
constexpr auto make_index_source(I begin, J end) noexcept {
  using index = std::common_type_t<I, J>;
  const index first = static_cast<index>(begin);
  const index last = static_cast<index>(end);
  using count = std::make_unsigned_t<index>;
  return index_source<index>{first, first < last
                                        ? static_cast<std::size_t>(static_cast<count>(
                                              static_cast<count>(last) - static_cast<count>(first)))
                                        : 0};
}

template <class It>
concept gives_numbers_in_a_row =
    std::contiguous_iterator<It> && std::is_arithmetic_v<std::iter_value_t<It>>;

/// Asks for the numbers that lie a page behind the `Length` from `from` on, if it is numbers: by
/// itself a processor asks ahead only within a page. Behind the end of a range it asks in vain.
template <std::size_t Length, bool ToWrite = false, class It>
void fetch_ahead(const It& from) noexcept {
  if constexpr (gives_numbers_in_a_row<It>) {
    // A number, since there may be no object there to point to.
    const auto there = reinterpret_cast<std::uintptr_t>(std::to_address(from)) + 4096;
    for (std::size_t i = 0; i < Length * sizeof(std::iter_value_t<It>); i += cache_line_size)
      __builtin_prefetch(reinterpret_cast<const void*>(there + i), ToWrite);
  }
}

/// The elements from an iterator on: the body gets a reference.
template <std::random_access_iterator It>
struct iterator_source {
  It first;
  std::size_t count;

  std::size_t size() const noexcept { return count; }
  template <class F>
  decltype(auto) at(std::size_t k, F& f) const {
    return f(first[static_cast<std::iter_difference_t<It>>(k)]);
  }
  template <class F>
  void visit(std::size_t begin, std::size_t end, F& f) const {
    using difference = std::iter_difference_t<It>;
    const It last = first + static_cast<difference>(end);
    for (It it = first + static_cast<difference>(begin); it != last; ++it) f(*it);
  }
  template <std::size_t Length>
    requires gives_numbers_in_a_row<It>
  void fetch_ahead(std::size_t k) const noexcept {
    detail::fetch_ahead<Length>(first + static_cast<std::iter_difference_t<It>>(k));
  }
};

template <class It, class End>
constexpr auto make_iterator_source(It first, End last) {
  static_assert(
      std::random_access_iterator<It> && std::sized_sentinel_for<End, It>,
      "weft: a parallel algorithm divides its range, so it needs random access: a vector, "
      "an array, a deque; of a list make a vector of pointers");
  const auto count = last - first;
  return iterator_source<It>{first, count > 0 ? static_cast<std::size_t>(count) : 0};
}

/// The points of a grid, row by row: the body gets one index for each dimension.
template <std::size_t N>
struct space_source {
  index_space<N> space;

  std::size_t size() const noexcept { return space.size(); }
  template <class F>
  decltype(auto) at(std::size_t k, F& f) const {
    const std::size_t row = k / space[N - 1].size();
    const auto x = space[N - 1].begin + static_cast<std::ptrdiff_t>(k % space[N - 1].size());
    return in_row(row, [&](auto... outer) -> decltype(auto) { return f(outer..., x); });
  }
  template <class F>
  void visit(std::size_t begin, std::size_t end, F& f) const {
    const std::size_t width = space[N - 1].size();
    std::size_t row = begin / width;
    std::size_t column = begin % width;
    for (std::size_t left = end - begin; left != 0; ++row) {
      const std::size_t length = left < width - column ? left : width - column;
      const std::ptrdiff_t from = space[N - 1].begin + static_cast<std::ptrdiff_t>(column);
      const std::ptrdiff_t to = from + static_cast<std::ptrdiff_t>(length);
      in_row(row, [&](auto... outer) {
        for (std::ptrdiff_t x = from; x != to; ++x) f(outer..., x);
      });
      left -= length;
      column = 0;
    }
  }

private:
  template <class Call>
  decltype(auto) in_row([[maybe_unused]] std::size_t row, Call call) const {
    if constexpr (N == 1) {
      return call();
    } else if constexpr (N == 2) {
      return call(space[0].begin + static_cast<std::ptrdiff_t>(row));
    } else {
      const std::size_t rows = space[1].size();
      return call(space[0].begin + static_cast<std::ptrdiff_t>(row / rows),
                  space[1].begin + static_cast<std::ptrdiff_t>(row % rows));
    }
  }
};

template <class Source>
inline constexpr bool is_space = false;
template <std::size_t N>
inline constexpr bool is_space<space_source<N>> = true;

template <class Source, class F>
using call_result_t = decltype(std::declval<const Source&>().at(0, std::declval<F&>()));

/// A range as an argument: what it gives iterators into outlives the algorithm.
template <class R>
concept has_begin_end = requires(R& r) {
  std::begin(r);
  std::end(r);
};

}  // namespace weft::detail

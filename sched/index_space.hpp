// SPDX-License-Identifier: MIT
#pragma once
// index_space: the points of a grid of one to three dimensions, for the parallel algorithms. The
// last index runs fastest, as in an array of arrays.

#include <concepts>
#include <cstddef>

namespace weft {

/// The whole numbers from `begin` to before `end`; none when there are no such.
struct index_range {
  std::ptrdiff_t begin;
  std::ptrdiff_t end;

  constexpr std::size_t size() const noexcept {
    return end > begin ? static_cast<std::size_t>(end) - static_cast<std::size_t>(begin) : 0;
  }
};

namespace detail {

template <std::integral I>
constexpr index_range to_index_range(I count) noexcept {
  return {0, static_cast<std::ptrdiff_t>(count)};
}
constexpr index_range to_index_range(index_range r) noexcept { return r; }

}  // namespace detail

/// All combinations of N indices: `index_space(height, width)`, or with other beginnings than zero
/// `index_space(index_range{1, height - 1}, index_range{1, width - 1})`.
///
/// Shape:    their number fits a std::size_t.
template <std::size_t N>
class index_space {
  static_assert(N >= 1 && N <= 3, "weft: an index_space has one to three dimensions");

public:
  template <class... Ranges>
    requires(sizeof...(Ranges) == N)
  constexpr explicit index_space(Ranges... ranges) noexcept
      : ranges_{detail::to_index_range(ranges)...} {}

  constexpr std::size_t size() const noexcept {
    std::size_t all = 1;
    for (const index_range& r : ranges_) all *= r.size();
    return all;
  }
  constexpr const index_range& operator[](std::size_t dimension) const noexcept {
    return ranges_[dimension];
  }

private:
  index_range ranges_[N];
};

/// Its dimension is the number of its arguments.
template <class... Ranges>
index_space(Ranges...) -> index_space<sizeof...(Ranges)>;

}  // namespace weft

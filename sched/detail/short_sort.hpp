// SPDX-License-Identifier: MIT
#pragma once
// How the parallel sorts sort what is short, in place of std::sort: a comparison that throws loses
// no element here.

#include <cstddef>
#include <iterator>
#include <utility>

namespace weft::detail {

/// What is sorted faster by insertion.
inline constexpr std::size_t inserted_max = 16;

/// Stable.
template <class It, class Less>
void insertion_sort(It first, It last, const Less& less) {
  if (first == last) return;
  struct held {
    std::iter_value_t<It> value;
    It hole;
    ~held() { *hole = std::move(value); }
  };
  for (It next = first + 1; next < last; ++next) {
    if (!less(*next, *(next - 1))) continue;
    held h{std::move(*next), next};
    do {
      const It before = h.hole - 1;
      *h.hole = std::move(*before);
      h.hole = before;
    } while (h.hole != first && less(h.value, *(h.hole - 1)));
  }
}

/// For a range whose pivots are bad.
template <class It, class Less>
void heap_sort(It first, std::size_t count, const Less& less) {
  const auto at = [&](std::size_t i) { return first + static_cast<std::iter_difference_t<It>>(i); };
  const auto sift_down = [&](std::size_t root, std::size_t end) {
    for (std::size_t child = 2 * root + 1; child < end; child = 2 * root + 1) {
      if (child + 1 < end && less(*at(child), *at(child + 1))) ++child;
      if (!less(*at(root), *at(child))) return;
      std::swap(*at(root), *at(child));
      root = child;
    }
  };
  for (std::size_t root = count / 2; root-- != 0;) sift_down(root, count);
  for (std::size_t end = count; end > 1; --end) {
    std::swap(*first, *at(end - 1));
    sift_down(0, end - 1);
  }
}

/// Brings the pivot, something like the median, to the front, and divides what is behind it: gives
/// the first place of the upper part. There are three elements at least.
template <class It, class Less>
It partition_behind_pivot(It first, It last, const Less& less) {
  const It middle = first + (last - first) / 2;
  const It end = last - 1;
  if (less(*middle, *first)) std::swap(*middle, *first);
  if (less(*end, *middle)) std::swap(*end, *middle);
  if (less(*middle, *first)) std::swap(*middle, *first);
  std::swap(*first, *middle);
  It low = first + 1;
  It high = last;
  for (;;) {
    while (low < high && less(*low, *first)) ++low;
    do --high;
    while (low < high && less(*first, *high));
    if (!(low < high)) return low;
    std::swap(*low, *high);
    ++low;
  }
}

/// Not stable. By swaps of neighbours in the cache, for elements of any kind.
template <class It, class Less>
void sort_in_place(It first, It last, const Less& less, int levels_left = 24) {
  while (static_cast<std::size_t>(last - first) > inserted_max) {
    if (levels_left-- == 0) return heap_sort(first, static_cast<std::size_t>(last - first), less);
    const It upper = partition_behind_pivot(first, last, less);
    sort_in_place(upper, last, less, levels_left);
    last = upper;
  }
  insertion_sort(first, last, less);
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// How often a descriptor's number has been given back. Who remembers something of a number (that
// epoll watches it, say) remembers its age too, and looks again when that is another one: then the
// number may be a new file's.
//
// Numbers are the process's, and so are their ages. Two numbers may share one: then what is
// remembered of one is looked after once more when the other one is closed.
//
//   A1: age_descriptor (release), close(2), the kernel's own lock around its table, who gets the
//       number next -> age_of_descriptor (acquire): a new owner never finds the old age.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

inline constexpr std::size_t descriptor_ages_max = 65'536;

/// For the two functions below. Untouched pages of zeros cost nothing.
extern std::array<std::atomic<std::uint32_t>, descriptor_ages_max> descriptor_ages;

/// The number is about to be given back: nothing is in flight on it. Thread: any.
inline void age_descriptor(int fd) noexcept {
  std::atomic<std::uint32_t>& age =
      descriptor_ages[static_cast<unsigned>(fd) % descriptor_ages_max];
  age.fetch_add(1, std::memory_order_release);  // sync: A1
}

/// Thread: any. Cost: a load.
inline std::uint32_t age_of_descriptor(int fd) noexcept {
  const auto& age = descriptor_ages[static_cast<unsigned>(fd) % descriptor_ages_max];
  return age.load(std::memory_order_acquire);  // sync: A1
}

}  // namespace weft::detail

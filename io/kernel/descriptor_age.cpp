// SPDX-License-Identifier: MIT
#include "weft/io/kernel/descriptor_age.hpp"

#include <array>
#include <atomic>
#include <cstddef>

namespace weft::detail {

namespace {

constexpr std::size_t ages_max = 65'536;

// Untouched pages of zeros cost nothing.
constinit std::array<std::atomic<std::uint32_t>, ages_max> ages{};

std::atomic<std::uint32_t>& age(int fd) noexcept {
  return ages[static_cast<unsigned>(fd) % ages_max];
}

}  // namespace

void age_descriptor(int fd) noexcept {
  age(fd).fetch_add(1, std::memory_order_release);  // sync: A1
}

std::uint32_t age_of_descriptor(int fd) noexcept {
  return age(fd).load(std::memory_order_acquire);  // sync: A1
}

}  // namespace weft::detail

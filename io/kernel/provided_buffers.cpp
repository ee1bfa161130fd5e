// SPDX-License-Identifier: MIT
#include "weft/io/kernel/provided_buffers.hpp"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace weft::detail {

namespace {

constexpr std::uint64_t ids_max = 65'536;

}  // namespace

provided_buffers::group* provided_buffers::find(std::uint16_t number) noexcept {
  const auto where = std::ranges::find(groups_, number, &group::number);
  return where != groups_.end() ? &*where : nullptr;
}

int provided_buffers::provide(const io_uring_sqe& entry) noexcept {
  const auto count = static_cast<std::uint64_t>(entry.fd);
  if (entry.fd <= 0 || count > ids_max) return -E2BIG;
  if (entry.len == 0) return -EINVAL;
  if (entry.off + count > ids_max) return -EINVAL;
  group* g = find(entry.buf_group);
  const std::size_t before = g != nullptr ? g->buffers.size() : 0;
  try {
    if (g == nullptr) g = &groups_.emplace_back(group{.number = entry.buf_group, .buffers = {}});
    for (std::uint64_t i = 0; i < count; ++i)
      g->buffers.push_back({.address = entry.addr + i * entry.len,
                            .size = entry.len,
                            .id = static_cast<std::uint16_t>(entry.off + i)});
  } catch (const std::bad_alloc&) {
    if (g != nullptr) g->buffers.resize(before);
    return -ENOMEM;
  }
  return 0;
}

int provided_buffers::remove(const io_uring_sqe& entry) noexcept {
  if (entry.fd <= 0 || static_cast<std::uint64_t>(entry.fd) > ids_max) return -EINVAL;
  group* const g = find(entry.buf_group);
  if (g == nullptr) return -ENOENT;
  const std::size_t removed = std::min(static_cast<std::size_t>(entry.fd), g->buffers.size());
  g->buffers.erase(g->buffers.begin(), g->buffers.begin() + static_cast<std::ptrdiff_t>(removed));
  return static_cast<int>(removed);
}

const provided_buffers::buffer* provided_buffers::next_of(std::uint16_t number) const noexcept {
  const auto where = std::ranges::find(groups_, number, &group::number);
  return where != groups_.end() && !where->buffers.empty() ? &where->buffers.front() : nullptr;
}

void provided_buffers::take_next_of(std::uint16_t number) noexcept {
  find(number)->buffers.pop_front();
}

}  // namespace weft::detail

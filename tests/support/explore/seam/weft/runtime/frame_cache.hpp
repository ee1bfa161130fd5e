// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/frame_cache.hpp for the explorer: the memory of a frame that
// has ended stays until its worker does. So who uses it too late meets what is left there, and is
// found out.

#include "weft/runtime/spin_lock.hpp"

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace weft::detail {

class frame_depot;

class frame_cache {
public:
  explicit frame_cache(frame_depot*) noexcept {}
  frame_cache(const frame_cache&) = delete;
  frame_cache& operator=(const frame_cache&) = delete;
  ~frame_cache() {
    for (void* const block : ended_) deallocate_uncached(block, 0);
  }

  [[nodiscard]] void* allocate(std::size_t size) {
    ++live_;
    return allocate_uncached(size);
  }
  void deallocate(void* block, std::size_t) noexcept {
    --live_;
    ended_.push_back(block);
  }
  [[nodiscard]] static void* allocate_uncached(std::size_t size) {
    return ::operator new(size, std::align_val_t{64});
  }
  static void deallocate_uncached(void* block, std::size_t) noexcept {
    ::operator delete(block, std::align_val_t{64});
  }
  [[nodiscard]] std::int64_t live() const noexcept { return live_; }

private:
  std::int64_t live_ = 0;
  std::vector<void*> ended_;
};

}  // namespace weft::detail

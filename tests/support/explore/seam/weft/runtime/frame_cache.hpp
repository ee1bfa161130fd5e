// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/frame_cache.hpp for the explorer: the memory of a frame that
// has ended stays until its worker does. So who uses it too late meets what is left there, and is
// found out.

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace weft::detail {

inline constexpr std::size_t frame_alignment = 64;

class frame_cache {
public:
  frame_cache() noexcept = default;
  frame_cache(const frame_cache&) = delete;
  frame_cache& operator=(const frame_cache&) = delete;
  ~frame_cache() {
    elsewhere_ += live_;
    for (void* const frame : ended_) ::operator delete(frame, std::align_val_t{frame_alignment});
  }

  // All fibers are of one real thread, and whoever runs is bound.
  void bind() noexcept { bound_ = this; }
  void unbind() noexcept { bound_ = nullptr; }

  [[nodiscard]] static void* allocate(std::size_t bytes) {
    void* const frame = ::operator new(bytes, std::align_val_t{frame_alignment});
    (bound_ != nullptr ? bound_->live_ : elsewhere_) += static_cast<std::int64_t>(bytes);
    return frame;
  }
  static void deallocate(void* frame, std::size_t bytes) noexcept {
    (bound_ != nullptr ? bound_->live_ : elsewhere_) -= static_cast<std::int64_t>(bytes);
    if (bound_ != nullptr)
      bound_->ended_.push_back(frame);
    else
      ::operator delete(frame, std::align_val_t{frame_alignment});
  }

  [[nodiscard]] std::int64_t live_bytes() const noexcept { return live_; }
  [[nodiscard]] static std::int64_t live_bytes_elsewhere() noexcept { return elsewhere_; }

private:
  inline static frame_cache* bound_ = nullptr;
  inline static std::int64_t elsewhere_ = 0;

  std::int64_t live_ = 0;
  std::vector<void*> ended_;
};

inline void* allocate_frame(std::size_t bytes) { return frame_cache::allocate(bytes); }
inline void deallocate_frame(void* p, std::size_t bytes) noexcept {
  frame_cache::deallocate(p, bytes);
}
inline void* allocate_record(std::size_t bytes) { return frame_cache::allocate(bytes); }
inline void deallocate_record(void* p, std::size_t bytes) noexcept {
  frame_cache::deallocate(p, bytes);
}

inline std::int64_t live_frame_bytes() noexcept { return frame_cache::live_bytes_elsewhere(); }

}  // namespace weft::detail

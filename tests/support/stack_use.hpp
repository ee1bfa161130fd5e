// SPDX-License-Identifier: MIT
#pragma once
// How much of its thread's stack something uses: paint what is free below the caller, run it, and
// look how far the paint is gone. All three steps on one thread, with no wait between them.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

namespace weft::tests {

class stack_use {
public:
  stack_use() noexcept {
    pthread_attr_t attributes;
    void* lowest = nullptr;
    std::size_t bytes = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &lowest, &bytes);
    pthread_attr_destroy(&attributes);
    top_ = reinterpret_cast<std::uintptr_t>(lowest) + bytes;
    // The main thread's stack grows as it is used: no more than this is painted of any.
    bottom_ = reinterpret_cast<std::uintptr_t>(lowest) + margin;
    if (top_ - bottom_ > painted_max) bottom_ = top_ - painted_max;
  }

  [[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread]] void paint() noexcept {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - margin;
    for (std::uintptr_t p = bottom_ & ~std::uintptr_t{7}; p < here; p += 8) {
      *reinterpret_cast<volatile std::uint64_t*>(p) = colour;
    }
  }

  /// Bytes from the top of the stack to the deepest one that was touched since paint().
  [[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread]] std::size_t
  bytes() const noexcept {
    std::uintptr_t p = bottom_ & ~std::uintptr_t{7};
    while (p < top_ && *reinterpret_cast<const volatile std::uint64_t*>(p) == colour) p += 8;
    return top_ - p;
  }

private:
  static constexpr std::uintptr_t margin = 8192;
  static constexpr std::uintptr_t painted_max = 192 * 1024;
  static constexpr std::uint64_t colour = 0x5eed5eed5eed5eed;

  std::uintptr_t top_ = 0;
  std::uintptr_t bottom_ = 0;
};

/// While it lives new threads get stacks of this size.
class default_stack_size {
public:
  explicit default_stack_size(std::size_t bytes) noexcept {
    pthread_getattr_default_np(&before_);
    pthread_attr_t smaller;
    pthread_attr_init(&smaller);
    pthread_attr_setstacksize(&smaller, bytes);
    pthread_setattr_default_np(&smaller);
    pthread_attr_destroy(&smaller);
  }
  default_stack_size(const default_stack_size&) = delete;
  default_stack_size& operator=(const default_stack_size&) = delete;
  ~default_stack_size() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

private:
  pthread_attr_t before_;
};

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// A value that counts itself: whoever makes one must destroy it, once. It carries a number, can be
// copied and moved, and its destructor is not trivial, which is what compilers get wrong in
// coroutines.

#include <atomic>
#include <utility>

namespace weft::tests {

class counted {
public:
  explicit counted(int n = 0) noexcept : number(n) { count(1); }
  counted(const counted& other) noexcept : number(other.number) { count(1); }
  counted(counted&& other) noexcept : number(std::exchange(other.number, -1)) { count(1); }
  counted& operator=(const counted& other) noexcept {
    number = other.number;
    return *this;
  }
  counted& operator=(counted&& other) noexcept {
    number = std::exchange(other.number, -1);
    return *this;
  }
  ~counted() { count(-1); }

  /// How many there are now.
  static int alive() noexcept { return alive_.load(); }

  int number;  // -1 once moved from

private:
  static void count(int change) noexcept { alive_.fetch_add(change); }

  static inline std::atomic<int> alive_{0};
};

}  // namespace weft::tests

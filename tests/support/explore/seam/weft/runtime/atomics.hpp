// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/atomics.hpp where the library's own sources are built for the
// explorer: this folder comes first among the include directories. Templates on a policy keep
// std::atomic, which is no step of an exploration: they are explored by tests of their own. Those
// that have to hand over what was written before have a stand-in beside this file.

#include "support/explore/atomic.hpp"
#include "support/explore/rules.hpp"

#include <atomic>
#include <cstddef>
#include <type_traits>

namespace weft::detail {

inline constexpr std::size_t cache_line_size = 64;

struct std_atomics {
  template <class U>
  using atomic = std::atomic<U>;
  static void light_fence() noexcept {}
};

template <class U>
using atomic = explore::atomic<U>;

/// Behaves as a U, and reports races. Not destructible in any other way than a U is.
template <class U>
class plain {
public:
  plain() = default;
  explicit(false) plain(U value) : cell_(value) {}
  plain(const plain& other) : plain(other.cell_.read()) {}
  plain& operator=(const plain& other) {
    cell_.write(other.cell_.read());
    return *this;
  }
  plain& operator=(U value) {
    cell_.write(value);
    return *this;
  }

  explicit(false) operator U() const { return cell_.read(); }
  U operator->() const
    requires std::is_pointer_v<U>
  {
    const U pointer = cell_.read();
    explore::check(pointer != nullptr, "nothing is reached by a null pointer");
    return pointer;
  }
  U operator++() { return *this = cell_.read() + 1; }
  U operator--() { return *this = cell_.read() - 1; }
  U operator+=(U by) { return *this = static_cast<U>(cell_.read() + by); }
  U operator-=(U by) { return *this = static_cast<U>(cell_.read() - by); }
  U operator++(int) {
    const U before = cell_.read();
    *this = before + 1;
    return before;
  }

private:
  explore::plain<U> cell_;
};

inline void wait_briefly(int) noexcept { explore::engine::active().spin(); }

}  // namespace weft::detail

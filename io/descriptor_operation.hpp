// SPDX-License-Identifier: MIT
#pragma once
// An operation on a descriptor that is one submission: counted by the descriptor while it is in
// flight, so that a close waits for it, and ended with an error when the descriptor was closed
// under it.

#include "weft/io/descriptor.hpp"
#include "weft/io/ring.hpp"

#include <cerrno>
#include <cstddef>
#include <type_traits>

namespace weft::detail {

/// What one submission may carry: what read(2) and write(2) take at most.
inline constexpr std::size_t transfer_max = 0x7ffff000;

inline unsigned clamp_transfer(std::size_t size) noexcept {
  return static_cast<unsigned>(size < transfer_max ? size : transfer_max);
}

/// Derived supplies what ring_awaitable asks for. It may call settle() in its constructor: the
/// outcome is known then, and nothing starts.
template <class Derived, class T>
class descriptor_operation : public ring_awaitable<Derived, T> {
  using base = ring_awaitable<Derived, T>;

public:
  descriptor_operation(descriptor& d, descriptor_use use) noexcept : descriptor_(&d), use_(use) {}

  bool try_now(worker&) noexcept { return settled_; }

  bool start(worker& w) noexcept {
    if (const int error = descriptor_->try_begin(use_)) {
      settle(-error);
      return false;
    }
    return base::start(w);
  }

  result<T> finish() noexcept {
    if (!settled_ && descriptor_->end(use_) && use_ != descriptor_use::shared) {
      // Closed by another task: neither the peer's end of the stream nor a whim of the kernel.
      const bool ended = std::is_same_v<T, std::size_t> && this->res == 0;
      if ((this->res < 0 && !this->cancel_wanted) || ended) this->res = -EBADF;
    }
    return base::finish();
  }

  int fd() const noexcept { return descriptor_->fd(); }

protected:
  void settle(int outcome) noexcept {
    settled_ = true;
    this->res = outcome;
  }

  descriptor* descriptor_;

private:
  descriptor_use use_;
  bool settled_ = false;
};

/// Throws `cancelled` or io_error out of a call of several steps: some bytes were moved before.
[[noreturn, gnu::cold]] void throw_partial(std::error_code code, std::size_t transferred,
                                           const char* call);

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The owner of a descriptor, which streams, listeners and files share. It knows who uses it, so
// that the number goes back to the kernel only when nobody does: a number that is reused while an
// operation still carries it would make that operation meet somebody else's file.
//
// Every operation opens with try_begin() and ends with end(). A closed or moved-from owner refuses
// (EBADF), and so does a second reader or writer at the same time (EBUSY): both are bugs of the
// caller. close() refuses newcomers, shuts a socket down so that pending operations end, waits
// until they have, and closes last. It is neither refused nor cancelled by a stop: it never leaks.
//
//   D1: end() (acq_rel) -> the closer, told by the last of them, or reading the word in start():
//   what
//       operations did is over before the descriptor is closed.
//   D2: close() sets `closed` (acq_rel) | try_begin() reads the word in its CAS: refused, or
//   counted.

#include "weft/io/kernel/kernel.hpp"
#include "weft/runtime/task.hpp"

#include <atomic>
#include <cstdint>

namespace weft::detail {

/// What an operation does with a descriptor: one reader and one writer at a time, or any number.
enum class descriptor_use : std::uint32_t { read = 1, write = 2, shared = 4 };

class descriptor {
public:
  /// Whether shutting it down ends what others wait for.
  enum class kind : bool { file, socket };

  /// Closed.
  descriptor() noexcept = default;
  descriptor(kernel& k, int fd) noexcept : kernel_(&k), fd_(fd), state_(0) {}
  descriptor(descriptor&& other) noexcept;
  descriptor& operator=(descriptor&& other) noexcept;
  /// Closes. Nothing may be in flight.
  ~descriptor() { close_now(); }

  /// 0, and end() must follow; else EBADF or EBUSY. Thread: any.
  [[nodiscard]] int try_begin(descriptor_use use) noexcept;
  /// True when the descriptor is being closed meanwhile. Publishes: it may be gone afterwards.
  bool end(descriptor_use use) noexcept;

  /// Between try_begin() and end().
  int fd() const noexcept { return fd_; }
  kernel& kernel_used() const noexcept { return *kernel_; }

  bool is_open() const noexcept {
    return (state_.load(std::memory_order_relaxed) & closed) == 0;  // relaxed: only a hint
  }

  /// Idempotent: a second call returns at once. `*this` stays where it is until it has ended.
  task<> close(kind k);

private:
  class drained;
  class close_entry;

  static constexpr std::uint32_t closed = 1u << 31;  // the rest: who uses it

  bool try_begin_close() noexcept;
  void close_now() noexcept;

  kernel* kernel_ = nullptr;
  int fd_ = -1;
  std::atomic<std::uint32_t> state_{closed};
  drained* closer_ = nullptr;  // written while it holds a use of its own
};

/// A use of a descriptor by a call that does not wait.
class descriptor_hold {
public:
  /// Errors:   system_error(bad_file_descriptor), naming the call.
  descriptor_hold(descriptor& d, const char* call);
  descriptor_hold(const descriptor_hold&) = delete;
  descriptor_hold& operator=(const descriptor_hold&) = delete;
  ~descriptor_hold() { descriptor_->end(descriptor_use::shared); }

private:
  descriptor* descriptor_;
};

}  // namespace weft::detail

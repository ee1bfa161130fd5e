// SPDX-License-Identifier: MIT
#pragma once

// A fiber: a stack of its own that one real thread switches to and from, in a way that the
// sanitizers can follow. It keeps the exceptions that it is handling, too.

#include <array>
#include <cstddef>
#include <memory>

#include <ucontext.h>

namespace weft::explore {

/// Whether this build has a sanitizer, which makes each step of an exploration many times as dear.
bool sanitized();

/// What is allocated in here is not reported as a leak: a failed execution is left where it stands,
/// with what its threads had allocated.
class leaks_permitted {
public:
  leaks_permitted();
  leaks_permitted(const leaks_permitted&) = delete;
  leaks_permitted& operator=(const leaks_permitted&) = delete;
  ~leaks_permitted();
};

class fiber {
public:
  /// Stands for the stack that the caller runs on.
  fiber();
  /// Calls `entry` on a stack of its own when it is first switched to. `entry` begins with a call
  /// of entered() and never returns.
  explicit fiber(void (*entry)());
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;
  ~fiber();

  /// Leaves what it was doing, for good: `entry` is called anew. Not while it runs.
  void reset();
  /// From this one, which runs, to the other.
  void switch_to(fiber& to);
  /// `root` is the fiber of the real thread's stack; the first fiber ever entered came from there.
  static void entered(fiber& root);

private:
  ucontext_t context_{};
  void (*entry_)() = nullptr;
  std::unique_ptr<char[]> stack_;
  std::array<void*, 2> exceptions_{};  // those that are caught, and how many are under way
  [[maybe_unused]] const void* bottom_ = nullptr;
  [[maybe_unused]] std::size_t size_ = 0;
  [[maybe_unused]] void* fake_stack_ = nullptr;  // AddressSanitizer's
  [[maybe_unused]] void* tsan_ = nullptr;        // ThreadSanitizer's
};

}  // namespace weft::explore

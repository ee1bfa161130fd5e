// SPDX-License-Identifier: MIT
#pragma once
// Tells a forked child from the process that an object was made in. fork(2) copies memory, but
// neither threads nor rings: what has such parts is of no use in the child, and says so instead of
// hanging or faulting.
//
// The count of forks is kept for the whole process, as are the ages of its descriptors and who
// catches its signals. It is added to in the child, by the C library's hook (pthread_atfork); a
// child made by clone(2) without the library, or by vfork, is not noticed.

#include <atomic>

namespace weft::detail {

/// Thread: any.
class fork_guard {
public:
  fork_guard() noexcept;

  /// True in a child that was forked after the guard was made. Cost: a load.
  bool in_forked_child() const noexcept {
    return made_after_ != forks_.load(std::memory_order_relaxed);  // relaxed: set before any thread
  }

  /// Ends a forked child that uses a queue of its parent's: the descriptors are its parent's, and
  /// what is in flight is its parent's business.
  void refuse_queue() const noexcept {
    if (in_forked_child()) [[unlikely]]
      end_child();
  }

private:
  [[noreturn, gnu::cold]] static void end_child() noexcept;
  static void count_fork() noexcept;

  static std::atomic<unsigned> forks_;

  unsigned made_after_;
};

}  // namespace weft::detail

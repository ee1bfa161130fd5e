// SPDX-License-Identifier: MIT
#include "weft/io/kernel/fork_guard.hpp"

#include "weft/runtime/assert.hpp"

#include <pthread.h>

namespace weft::detail {

constinit std::atomic<unsigned> fork_guard::forks_{0};

fork_guard::fork_guard() noexcept {
  // Fails only without memory for the hook; then forks go unnoticed.
  [[maybe_unused]] static const int hooked =
      ::pthread_atfork(nullptr, nullptr, &fork_guard::count_fork);
  made_after_ = forks_.load(std::memory_order_relaxed);  // relaxed: set before any thread
}

void fork_guard::end_child() noexcept {
  fatal("a ring was used in a forked child, to which its parent's rings and threads do not "
        "belong: there, call exec, or leave the task and run an event_loop or thread_pool "
        "that is made after the fork");
}

void fork_guard::count_fork() noexcept {
  forks_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the child's only thread
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// Holds a thread to one core, so that a server and its load do not share one by accident. Where
// there is a single core they do share it; the numbers then say little.

#include <cstddef>

#include <pthread.h>
#include <sched.h>

namespace bench {

/// The calling thread runs on the `index`th core of those it may use (counted around), until the
/// object is gone.
class pinned {
public:
  explicit pinned(int index) noexcept {
    CPU_ZERO(&before_);
    if (pthread_getaffinity_np(pthread_self(), sizeof before_, &before_) != 0) return;
    const int count = CPU_COUNT(&before_);
    int skip = index % count;
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
      if (!CPU_ISSET(core, &before_) || skip-- != 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(core, &one);
      is_pinned_ = pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
      return;
    }
  }
  pinned(const pinned&) = delete;
  pinned& operator=(const pinned&) = delete;
  ~pinned() {
    if (is_pinned_) (void)pthread_setaffinity_np(pthread_self(), sizeof before_, &before_);
  }

private:
  cpu_set_t before_;
  bool is_pinned_ = false;
};

}  // namespace bench

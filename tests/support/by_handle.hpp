// SPDX-License-Identifier: MIT
#pragma once
// An awaitable of one's own: the coroutine waits until somebody resumes it by its handle.

#include <atomic>
#include <coroutine>

namespace weft::tests {

struct by_handle {
  std::atomic<void*>* at;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const noexcept { at->store(h.address()); }
  void await_resume() const noexcept {}
};

/// Resumes the coroutine that waits there.
inline void resume_by_handle(const std::atomic<void*>& at) {
  std::coroutine_handle<>::from_address(at.load()).resume();
}

}  // namespace weft::tests

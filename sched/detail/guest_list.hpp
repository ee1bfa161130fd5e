// SPDX-License-Identifier: MIT
#pragma once
// The guests of one scheduler: who is there, whether more may come, and waiting for the last to go.

#include "weft/sched/guest.hpp"

#include <condition_variable>
#include <mutex>

namespace weft::detail {

/// Thread: any.
class guest_list {
public:
  [[nodiscard]] bool admit(guest& g) noexcept {
    const std::lock_guard guard(mutex_);
    if (closed_) return false;
    g.behind_ = first_;
    if (first_ != nullptr) first_->before_ = &g;
    first_ = &g;
    return true;
  }
  void dismiss(guest& g) noexcept {
    const std::lock_guard guard(mutex_);
    (g.before_ != nullptr ? g.before_->behind_ : first_) = g.behind_;
    if (g.behind_ != nullptr) g.behind_->before_ = g.before_;
    if (first_ == nullptr) none_.notify_all();
  }
  /// Refuses new ones and asks all to stop.
  void close() noexcept {
    const std::lock_guard guard(mutex_);
    closed_ = true;
    for (guest* g = first_; g != nullptr; g = g->behind_) g->request_stop();
  }
  void reopen() noexcept {
    const std::lock_guard guard(mutex_);
    closed_ = false;
  }
  bool empty() const noexcept {
    const std::lock_guard guard(mutex_);
    return first_ == nullptr;
  }
  void wait_until_empty() noexcept {
    std::unique_lock guard(mutex_);
    none_.wait(guard, [this] { return first_ == nullptr; });
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable none_;
  guest* first_ = nullptr;
  bool closed_ = false;
};

}  // namespace weft::detail

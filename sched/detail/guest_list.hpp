// SPDX-License-Identifier: MIT
#pragma once
// The guests of one scheduler: who is there, whether more may come, and waiting for the last to go.

#include "weft/sched/guest.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace weft::detail {

/// Thread: any.
class guest_list {
public:
  [[nodiscard]] bool admit(guest& g) noexcept {
    const std::lock_guard guard(mutex_);
    if (closed_) return false;
    g.number_ = ++admitted_;
    g.behind_ = first_;
    if (first_ != nullptr) first_->before_ = &g;
    first_ = &g;
    ++count_;
    guests_everywhere.fetch_add(1, std::memory_order_seq_cst);  // sync: G1
    return true;
  }
  void dismiss(guest& g) noexcept {
    const std::lock_guard guard(mutex_);
    (g.before_ != nullptr ? g.before_->behind_ : first_) = g.behind_;
    if (g.behind_ != nullptr) g.behind_->before_ = g.before_;
    --count_;
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
  /// Whether all guests of the process are here.
  bool all_are_here() const noexcept {
    const std::lock_guard guard(mutex_);
    return guests_everywhere.load(std::memory_order_seq_cst) <= count_;  // sync: G1
  }
  /// The newest guest that tell_deadlock() would tell, by its number; 0: there is none. Ask before
  /// looking whether anything can wake their tasks: who comes later is none of those that wait.
  std::uint64_t last_to_tell() const noexcept {
    const std::lock_guard guard(mutex_);
    for (const guest* g = first_; g != nullptr; g = g->behind_)
      if (g->deadlocked_ != nullptr) return g->number_;
    return 0;
  }
  /// Tells every guest up to `last` that has not been told that nothing can wake its tasks; how
  /// many there were.
  std::size_t tell_deadlock(const std::string& report, std::uint64_t last) noexcept {
    const std::lock_guard guard(mutex_);
    std::size_t told = 0;
    for (guest* g = first_; g != nullptr; g = g->behind_) {
      if (g->number_ > last) continue;
      if (auto* const tell = std::exchange(g->deadlocked_, nullptr)) {
        tell(*g, report);
        ++told;
      }
    }
    return told;
  }
  /// The guests that reports show, held: none ends before it is released.
  std::vector<guest*> hold_all() {
    const std::lock_guard guard(mutex_);
    std::vector<guest*> held;
    held.reserve(count_);
    for (guest* g = first_; g != nullptr; g = g->behind_)
      if (!g->hidden_ && g->try_hold()) held.push_back(g);
    return held;
  }
  void wait_until_empty() noexcept {
    std::unique_lock guard(mutex_);
    none_.wait(guard, [this] { return first_ == nullptr; });
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable none_;
  guest* first_ = nullptr;
  std::size_t count_ = 0;
  std::uint64_t admitted_ = 0;
  bool closed_ = false;
};

}  // namespace weft::detail

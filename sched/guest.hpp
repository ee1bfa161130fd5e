// SPDX-License-Identifier: MIT
#pragma once
// A guest is a group of tasks that runs on a scheduler for somebody outside: the main task of a run, or
// a task that came by on(). A scheduler ends no earlier than its guests; when it shuts down it stops
// them and waits.

#include <condition_variable>
#include <mutex>

#include "weft/runtime/child.hpp"
#include "weft/runtime/group_state.hpp"

namespace weft::detail {

class guest : public group_state {
 public:
  /// `ended` is called once, on a worker, when the last task has ended: the guest may go then.
  using ended_fn = void (*)(guest&) noexcept;

  guest(scheduler& home, ended_fn ended) noexcept
      : group_state(home, &guest::on_empty, nullptr, nullptr), ended_(ended) {}

 private:
  friend class guest_list;

  static void on_empty(cancel_scope& s) noexcept {
    auto& self = static_cast<guest&>(s);
    const ended_fn ended = self.ended_;
    self.home().dismiss(self);
    ended(self);
  }

  const ended_fn ended_;
  guest* before_ = nullptr;  // guarded by the list
  guest* behind_ = nullptr;
};

/// Runs a guest's task and keeps what became of it.
template <class T>
child<void> run_guest(task<T> body, outcome<T>& out) {
  body_awaiter<T> awaited(body);
  try {
    if constexpr (std::is_void_v<T>) {
      co_await awaited;
    } else {
      T value = co_await awaited;
      out.return_value(static_cast<T&&>(value));
    }
  } catch (...) {
    out.set_exception(std::current_exception());
  }
}

/// The guests of one scheduler. Thread: any.
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

// SPDX-License-Identifier: MIT
#pragma once
// watch: a value that changes, and tasks that want to know. Only the latest value counts: a
// receiver that was slow sees it and none of those between. `auto [tx, rx] = watch<T>(initial)`.
//
// The value is handed out as a shared_ptr<const T>, so that it is copied by nobody and stays as it
// is for whoever has it; the lock is held for the exchange of pointers only.

#include "weft/runtime/waiter_list.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace weft {

template <class T>
class watch_receiver;

namespace detail {

/// What all ends share.
template <class T>
class watch_state {
public:
  explicit watch_state(std::shared_ptr<const T> initial) noexcept : value_(std::move(initial)) {}

  void send(std::shared_ptr<const T> value) noexcept {
    lock.lock();
    value_.swap(value);
    ++version_;
    listed_waiter* const all = waiters_.take_all();
    lock.unlock();
    complete_all(all);
  }
  std::shared_ptr<const T> get(std::uint64_t& seen) noexcept {
    const std::lock_guard guard(lock);
    seen = version_;
    return value_;
  }
  std::uint64_t version() noexcept {
    const std::lock_guard guard(lock);
    return version_;
  }

  /// Whether there is news for who has seen `seen`; queues `self` when there isn't.
  bool settled(std::uint64_t seen, listed_waiter* self) noexcept {
    const std::lock_guard guard(lock);
    if (version_ != seen || sender_count_ == 0) return true;
    if (self != nullptr) waiters_.push(*self);
    return false;
  }

  void add_sender() noexcept {
    const std::lock_guard guard(lock);
    ++sender_count_;
  }
  void drop_sender() noexcept {
    lock.lock();
    listed_waiter* const all = --sender_count_ == 0 ? waiters_.take_all() : nullptr;
    lock.unlock();
    complete_all(all);
  }

  spin_lock lock;

private:
  std::shared_ptr<const T> value_;
  plain<std::uint64_t> version_ = 0;
  plain<std::size_t> sender_count_ = 0;
  waiter_list waiters_;
};

template <class T>
class watch_changed : public awaitable_operation<watch_changed<T>, bool, listed_waiter> {
public:
  static constexpr const char* name = "watch_receiver::changed";

  explicit watch_changed(watch_receiver<T>& r) noexcept : receiver_(&r) {}

  bool try_now(worker&) noexcept { return receiver_->state_->settled(receiver_->seen_, nullptr); }
  bool start(worker&) noexcept { return !receiver_->state_->settled(receiver_->seen_, this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<watch_changed&>(op);
    self.withdrawn_ = withdraw_waiter(self, self.receiver_->state_->lock);
    return self.withdrawn_;
  }
  result<bool> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    const std::uint64_t known = std::exchange(receiver_->seen_, receiver_->state_->version());
    return known != receiver_->seen_;
  }

private:
  watch_receiver<T>* receiver_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// The end of a watch that sees the value. Copies see the same value, and have seen what the
/// original has.
///
/// Thread:   any task; each copy is used by one at a time.
/// Lifetime: keeps the value alive, also when the senders have gone.
template <class T>
class watch_receiver {
public:
  watch_receiver(std::shared_ptr<detail::watch_state<T>> s, std::uint64_t seen) noexcept
      : state_(std::move(s)), seen_(seen) {}

  /// Waits for a value that this receiver has not seen. The initial one counts as seen.
  ///
  /// Returns:  true when there is one; false when there is none and the last sender has gone.
  /// Errors:   cancelled, and nothing was seen.
  /// Lifetime: this end outlives the co_await.
  /// Cost:     with news it neither suspends nor allocates.
  [[nodiscard]] detail::watch_changed<T> changed() noexcept {
    return detail::watch_changed<T>(*this);
  }

  /// The latest value, which counts as seen from now on. It does not change for who holds it.
  ///
  /// Lifetime: `const auto value = rx.get();` keeps it; a reference into what get() returned does
  ///           not.
  /// Cost:     no allocation and no copy of the value.
  [[nodiscard]] std::shared_ptr<const T> get() noexcept { return state_->get(seen_); }

private:
  friend detail::watch_changed<T>;

  std::shared_ptr<detail::watch_state<T>> state_;
  std::uint64_t seen_;
};

/// The end of a watch that sets the value. Copies set the same value.
///
/// Thread:   any, plain threads too; each copy is used by one at a time.
/// Lifetime: independent of the receivers. When the last one goes the watch is closed.
template <class T>
class watch_sender {
public:
  explicit watch_sender(std::shared_ptr<detail::watch_state<T>> s) noexcept : state_(std::move(s)) {
    state_->add_sender();
  }
  watch_sender(const watch_sender& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_sender();
  }
  watch_sender(watch_sender&& other) noexcept = default;
  watch_sender& operator=(watch_sender other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~watch_sender() {
    if (state_ != nullptr) state_->drop_sender();
  }

  /// Replaces the value and wakes all receivers that wait; it stays for those that come.
  ///
  /// Errors:   bad_alloc, or what T's move throws; nothing has changed then.
  /// Cost:     one allocation; linear in the receivers that wait.
  void send(T value) const { state_->send(std::make_shared<const T>(std::move(value))); }

  /// One more receiver, which has seen the present value.
  [[nodiscard]] watch_receiver<T> subscribe() const noexcept {
    return watch_receiver<T>(state_, state_->version());
  }

private:
  std::shared_ptr<detail::watch_state<T>> state_;
};

/// Both ends of a watch, to be taken apart by a structured binding.
template <class T>
struct watch_ends {
  watch_sender<T> sender;
  watch_receiver<T> receiver;
};

/// Makes a watch: `auto [tx, rx] = weft::watch<config>(load());`
///
/// Errors:   bad_alloc, or what T's move throws.
/// Cost:     two allocations.
template <class T>
[[nodiscard]] watch_ends<T> watch(T initial) {
  auto state =
      std::make_shared<detail::watch_state<T>>(std::make_shared<const T>(std::move(initial)));
  return {watch_sender<T>(state), watch_receiver<T>(std::move(state), 0)};
}

}  // namespace weft

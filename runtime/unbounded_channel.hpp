// SPDX-License-Identifier: MIT
#pragma once
// unbounded_channel: a queue between tasks, many to many, that never makes a sender wait: sending
// is a plain call, so that plain threads and callbacks can do it. The price is memory: nothing
// slows down who sends faster than others receive. Where something can, take channel<T>(n).

#include "weft/runtime/waiter_list.hpp"

#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class T>
class unbounded_state;

template <class T>
class unbounded_receive
    : public awaitable_operation<unbounded_receive<T>, std::optional<T>, listed_waiter> {
public:
  static constexpr const char* name = "unbounded_receiver::receive";

  explicit unbounded_receive(unbounded_state<T>& c) noexcept : channel_(&c) {}

  bool try_now(worker&) noexcept { return channel_->try_receive(value_, nullptr); }
  bool start(worker&) noexcept { return !channel_->try_receive(value_, this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<unbounded_receive&>(op);
    self.withdrawn_ = withdraw_waiter(self, self.channel_->lock);
    return self.withdrawn_;
  }
  result<std::optional<T>> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return result<std::optional<T>>(std::move(value_));
  }

  std::optional<T> value_;  // put here by the sender

private:
  unbounded_state<T>* channel_;
  bool withdrawn_ = false;
};

/// What both ends share.
template <class T>
class unbounded_state {
public:
  unbounded_state() noexcept = default;
  unbounded_state(const unbounded_state&) = delete;
  unbounded_state& operator=(const unbounded_state&) = delete;
  ~unbounded_state() {
    while (oldest_ != nullptr) delete std::exchange(oldest_, oldest_->next);
  }

  /// Receives into `into` (left empty when the channel is closed and drained); false when there is
  /// nothing yet, `self` is queued then.
  bool try_receive(std::optional<T>& into, unbounded_receive<T>* self) noexcept {
    lock.lock();
    const std::unique_ptr<node> taken(oldest_);
    const bool closed = closed_;
    if (taken != nullptr) {
      oldest_ = taken->next;
    } else if (!closed && self != nullptr) {
      receivers_.push(*self);
    }
    lock.unlock();
    if (taken != nullptr) into.emplace(std::move(*taken->value));
    return taken != nullptr || closed;
  }

  /// False when it is closed. A failed allocation leaves everything as it was.
  bool send(T& value) {
    std::unique_ptr<node> fresh;
    for (;;) {
      lock.lock();
      if (closed_) {
        lock.unlock();
        return false;
      }
      if (listed_waiter* const receiver = receivers_.take()) {
        lock.unlock();
        static_cast<unbounded_receive<T>*>(receiver)->value_.emplace(std::move(value));
        receiver->complete();
        return true;
      }
      if (fresh != nullptr) break;
      lock.unlock();
      fresh = std::make_unique<node>();
    }
    fresh->value.emplace(std::move(value));
    (oldest_ != nullptr ? newest_->next : oldest_) = fresh.get();
    newest_ = fresh.release();
    lock.unlock();
    return true;
  }

  void close() noexcept {
    lock.lock();
    closed_ = true;
    listed_waiter* const receivers = receivers_.take_all();
    lock.unlock();
    complete_all(receivers);
  }

  void add_sender() noexcept {
    const std::lock_guard guard(lock);
    ++sender_count_;
  }
  void drop_sender() noexcept {
    lock.lock();
    const bool last = --sender_count_ == 0 && !closed_;
    lock.unlock();
    if (last) close();
  }

  spin_lock lock;

private:
  struct node {
    node* next = nullptr;
    std::optional<T> value{};
  };

  node* oldest_ = nullptr;
  node* newest_ = nullptr;  // while there is an oldest
  std::size_t sender_count_ = 0;
  bool closed_ = false;
  waiter_list receivers_;  // only while there are no values
};

}  // namespace detail

/// The end of an unbounded channel that values are put into. Copies are ends of the same channel.
///
/// Thread:   any, plain threads too; each copy is used by one at a time.
/// Lifetime: keeps the channel alive. When the last one goes the channel closes.
template <class T>
class unbounded_sender {
public:
  explicit unbounded_sender(std::shared_ptr<detail::unbounded_state<T>> s) noexcept
      : state_(std::move(s)) {
    state_->add_sender();
  }
  unbounded_sender(const unbounded_sender& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_sender();
  }
  unbounded_sender(unbounded_sender&& other) noexcept = default;
  unbounded_sender& operator=(unbounded_sender other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~unbounded_sender() {
    if (state_ != nullptr) state_->drop_sender();
  }

  /// Puts a value in.
  ///
  /// Returns:  false when the channel is closed; the value is untouched then.
  /// Errors:   bad_alloc, and the value is untouched.
  /// Cost:     one allocation, none when a receiver waits.
  bool send(T&& value) const { return state_->send(value); }
  bool send(const T& value) const
    requires std::copy_constructible<T>
  {
    return send(T(value));
  }

  /// No more values: receivers drain what is left.
  void close() const noexcept { state_->close(); }

private:
  std::shared_ptr<detail::unbounded_state<T>> state_;
};

/// The end of an unbounded channel that values are taken from. Copies are ends of the same channel.
///
/// Thread:   any task; each copy is used by one thread at a time.
/// Lifetime: keeps the channel alive.
template <class T>
class unbounded_receiver {
public:
  explicit unbounded_receiver(std::shared_ptr<detail::unbounded_state<T>> s) noexcept
      : state_(std::move(s)) {}

  /// Takes the oldest value, waiting for one.
  ///
  /// Returns:  nullopt when the channel is closed and nothing is left.
  /// Errors:   cancelled, and nothing was taken.
  /// Lifetime: this end outlives the co_await.
  /// Cost:     with a value there it neither suspends nor allocates.
  [[nodiscard]] detail::unbounded_receive<T> receive() const noexcept {
    return detail::unbounded_receive<T>(*state_);
  }

  /// Without waiting: nullopt when there is nothing.
  [[nodiscard]] std::optional<T> try_receive() const noexcept {
    std::optional<T> value;
    (void)state_->try_receive(value, nullptr);
    return value;
  }

  /// Nobody will receive any more: senders are told so.
  void close() const noexcept { state_->close(); }

private:
  std::shared_ptr<detail::unbounded_state<T>> state_;
};

/// Both ends of an unbounded channel, to be taken apart by a structured binding.
template <class T>
struct unbounded_channel_ends {
  unbounded_sender<T> sender;
  unbounded_receiver<T> receiver;
};

/// Makes an unbounded channel: `auto [tx, rx] = weft::unbounded_channel<log_line>();`
///
/// Errors:   bad_alloc.
/// Cost:     one allocation.
template <class T>
[[nodiscard]] unbounded_channel_ends<T> unbounded_channel() {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "weft: a channel moves its values under a lock: T's move must be noexcept");
  auto state = std::make_shared<detail::unbounded_state<T>>();
  return {unbounded_sender<T>(state), unbounded_receiver<T>(std::move(state))};
}

}  // namespace weft

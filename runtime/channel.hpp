// SPDX-License-Identifier: MIT
#pragma once
// channel: a bounded queue between tasks, many to many. `channel<T>(n)` gives the two ends; a full
// channel makes senders wait (0: until a receiver takes the value), an empty one makes receivers
// wait. It closes when close() is called or the last sender goes; receivers then drain what is
// left.

#include "weft/runtime/channel_state.hpp"

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class T>
class channel_receive
    : public awaitable_operation<channel_receive<T>, std::optional<T>, channel_receiver_waiter<T>> {
public:
  static constexpr const char* name = "channel_receiver::receive";

  explicit channel_receive(channel_state<T>& c) noexcept : channel_(&c) {}

  bool try_now(worker&) noexcept {
    return !channel_->seems_empty() && channel_->try_receive(this->value);
  }
  bool start(worker&) noexcept { return !channel_->receive_or_queue(this->value, *this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<channel_receive&>(op);
    self.withdrawn_ = self.channel_->withdraw_receiver(self);
    return self.withdrawn_;
  }
  void describe(wait_note& note) const noexcept {
    channel_->describe(note);
    note.within = channel_->fed_by;
  }
  result<std::optional<T>> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return result<std::optional<T>>(std::move(this->value));
  }

private:
  channel_state<T>* channel_;
  plain<bool> withdrawn_ = false;
};

/// `Held` is T& for an rvalue of the caller's, which stays untouched unless it is sent, else a
/// copy.
template <class T, class Held>
class channel_send;

template <class T, class Held>
class channel_send
    : public awaitable_operation<channel_send<T, Held>, void, channel_sender_waiter<T>> {
public:
  static constexpr const char* name = "channel_sender::send";

  channel_send(channel_state<T>& c, Held v) : channel_(&c), held_(static_cast<Held&&>(v)) {}

  bool try_now(worker&) noexcept {
    this->value = std::addressof(held_);
    if (channel_->seems_full()) return false;
    this->state = channel_->try_send(*this->value);
    return this->state != send_state::unsent;
  }
  bool start(worker&) noexcept {
    const send_state now = channel_->send_or_queue(*this->value, *this);
    if (now == send_state::unsent) return true;  // queued: `state` is another thread's to write
    this->state = now;
    return false;
  }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<channel_send&>(op);
    self.withdrawn_ = self.channel_->withdraw_sender(self);
    return self.withdrawn_;
  }
  void describe(wait_note& note) const noexcept { channel_->describe(note); }
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    if (this->state == send_state::closed)
      return failure{std::error_code(EPIPE, std::system_category())};
    return {};
  }

private:
  channel_state<T>* channel_;
  Held held_;
  plain<bool> withdrawn_ = false;
};

}  // namespace detail

/// The end of a channel that values are put into. Copies are ends of the same channel.
///
/// Thread:   any task; each copy is used by one thread at a time.
/// Lifetime: keeps the channel alive. When the last one goes the channel closes.
template <class T>
class channel_sender {
public:
  explicit channel_sender(std::shared_ptr<detail::channel_state<T>> s) noexcept
      : state_(std::move(s)) {
    state_->add_sender();
  }
  channel_sender(const channel_sender& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_sender();
  }
  channel_sender(channel_sender&& other) noexcept = default;
  channel_sender& operator=(channel_sender other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~channel_sender() {
    if (state_ != nullptr) state_->drop_sender();
  }

  /// Puts a value in, waiting for room.
  ///
  /// Errors:   system_error(broken_pipe) when the channel is closed, `cancelled`; the value is
  ///           untouched.
  /// Lifetime: this end and the value outlive the co_await.
  /// Cost:     with room it neither suspends nor allocates.
  [[nodiscard]] detail::channel_send<T, T&> send(T&& value) const noexcept {
    return detail::channel_send<T, T&>(*state_, value);
  }
  [[nodiscard]] detail::channel_send<T, T> send(const T& value) const
    requires std::copy_constructible<T>
  {
    return detail::channel_send<T, T>(*state_, T(value));
  }

  /// Without waiting: false when the channel is full or closed; the value is untouched then.
  [[nodiscard]] bool try_send(T&& value) const noexcept {
    return state_->try_send(value) == detail::send_state::sent;
  }
  [[nodiscard]] bool try_send(const T& value) const
    requires std::copy_constructible<T>
  {
    return try_send(T(value));
  }

  /// No more values: receivers drain what is left, waiting senders fail.
  void close() const noexcept { state_->close(); }

private:
  std::shared_ptr<detail::channel_state<T>> state_;
};

/// The end of a channel that values are taken from. Copies are ends of the same channel.
///
/// Thread:   any task; each copy is used by one thread at a time.
/// Lifetime: keeps the channel alive.
template <class T>
class channel_receiver {
public:
  explicit channel_receiver(std::shared_ptr<detail::channel_state<T>> s) noexcept
      : state_(std::move(s)) {}

  /// Takes the oldest value, waiting for one.
  ///
  /// Returns:  nullopt when the channel is closed and nothing is left.
  /// Errors:   cancelled, and nothing was taken.
  /// Lifetime: this end outlives the co_await.
  /// Cost:     with a value there it neither suspends nor allocates.
  [[nodiscard]] detail::channel_receive<T> receive() const noexcept {
    return detail::channel_receive<T>(*state_);
  }

  /// Without waiting: nullopt when there is nothing.
  [[nodiscard]] std::optional<T> try_receive() const noexcept {
    std::optional<T> value;
    (void)state_->try_receive(value);
    return value;
  }

  /// Nobody will receive any more: senders fail with broken_pipe.
  void close() const noexcept { state_->close(); }

private:
  std::shared_ptr<detail::channel_state<T>> state_;
};

/// Both ends of a channel, to be taken apart by a structured binding.
template <class T>
struct channel_ends {
  channel_sender<T> sender;
  channel_receiver<T> receiver;
};

/// Makes a channel: `auto [tx, rx] = weft::channel<job>(64);`
///
/// Shape:    `capacity` values fit in; 0 hands each value from a sender to a receiver that waits.
/// Errors:   bad_alloc.
/// Cost:     one allocation for the state and one for the slots; none per value.
template <class T>
[[nodiscard]] channel_ends<T> channel(std::size_t capacity) {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "weft: a channel moves its values under a lock: T's move must be noexcept");
  auto state = std::make_shared<detail::channel_state<T>>(capacity);
  return {channel_sender<T>(state), channel_receiver<T>(std::move(state))};
}

}  // namespace weft

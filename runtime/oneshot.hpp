// SPDX-License-Identifier: MIT
#pragma once
// oneshot: a channel for a single value, from whoever has the answer to the task that waits for it.
// `auto [tx, rx] = oneshot<T>()`. Sending is a plain call, so that it can be done by a plain thread
// and in a destructor.

#include "weft/runtime/waiter_list.hpp"

#include <concepts>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// What both ends share.
template <class T>
class oneshot_state {
public:
  /// False when the receiver has gone; the value is untouched then.
  bool send(T& v) noexcept {
    lock.lock();
    if (receiver_gone_) {
      lock.unlock();
      return false;
    }
    value.emplace(std::move(v));
    settle();
    return true;
  }
  void drop_sender() noexcept {
    lock.lock();
    settle();
  }
  void drop_receiver() noexcept {
    const std::lock_guard guard(lock);
    receiver_gone_ = true;
  }
  bool receiver_gone() noexcept {
    const std::lock_guard guard(lock);
    return receiver_gone_;
  }

  /// Whether it is known what the receiver gets; queues `self` when it isn't.
  bool settled(listed_waiter* self) noexcept {
    const std::lock_guard guard(lock);
    const bool known = sender_gone_ || receiver_gone_;
    if (!known && self != nullptr) {
      if (!receiver_.empty()) [[unlikely]]
        self->promise->misused("a second task awaits this oneshot_receiver: let one await it");
      receiver_.push(*self);
    }
    return known;
  }

  spin_lock lock;
  std::optional<T> value;  // the sender's until it has gone, then the receiver's

private:
  /// Lets the lock go.
  void settle() noexcept {
    sender_gone_ = true;
    listed_waiter* const receiver = receiver_.take();
    lock.unlock();
    if (receiver != nullptr) receiver->complete();
  }

  plain<bool> sender_gone_ = false;
  plain<bool> receiver_gone_ = false;
  waiter_list receiver_;
};

template <class T>
class oneshot_receive
    : public awaitable_operation<oneshot_receive<T>, std::optional<T>, listed_waiter> {
public:
  static constexpr const char* name = "oneshot_receiver::receive";

  explicit oneshot_receive(oneshot_state<T>& s) noexcept : state_(&s) {}

  bool try_now(worker&) noexcept { return state_->settled(nullptr); }
  bool start(worker&) noexcept { return !state_->settled(this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<oneshot_receive&>(op);
    self.withdrawn_ = withdraw_waiter(self, self.state_->lock);
    return self.withdrawn_;
  }
  result<std::optional<T>> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    return result<std::optional<T>>(std::exchange(state_->value, std::nullopt));
  }

private:
  oneshot_state<T>* state_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// The end of a oneshot that the value is given to.
///
/// Thread:   any, plain threads too; one at a time.
/// Lifetime: independent of the receiver. Dropped without having sent, it gives the receiver
///           nothing.
template <class T>
class oneshot_sender {
public:
  explicit oneshot_sender(std::shared_ptr<detail::oneshot_state<T>> s) noexcept
      : state_(std::move(s)) {}
  oneshot_sender(oneshot_sender&& other) noexcept = default;
  oneshot_sender& operator=(oneshot_sender&& other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~oneshot_sender() {
    if (state_ != nullptr) state_->drop_sender();
  }

  /// Gives the value to the receiver; once.
  ///
  /// Returns:  false when the receiver has gone; the value is untouched then.
  /// Cost:     no allocation; the receiver is made ready, not resumed.
  bool send(T&& value) noexcept {
    WEFT_ASSERT(state_ != nullptr,
                "this oneshot_sender has sent its value, or was moved from: use a channel for more "
                "than one");
    if (!state_->send(value)) return false;
    state_.reset();
    return true;
  }
  bool send(const T& value)
    requires std::copy_constructible<T>
  {
    return send(T(value));
  }

  /// True when nobody will receive the value any more: it needs not be computed.
  bool receiver_gone() const noexcept { return state_ == nullptr || state_->receiver_gone(); }

private:
  std::shared_ptr<detail::oneshot_state<T>> state_;
};

/// The end of a oneshot that the value is taken from.
///
/// Thread:   one task at a time, on any scheduler.
/// Lifetime: independent of the sender.
template <class T>
class oneshot_receiver {
public:
  explicit oneshot_receiver(std::shared_ptr<detail::oneshot_state<T>> s) noexcept
      : state_(std::move(s)) {}
  oneshot_receiver(oneshot_receiver&& other) noexcept = default;
  oneshot_receiver& operator=(oneshot_receiver&& other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~oneshot_receiver() {
    if (state_ != nullptr) state_->drop_receiver();
  }

  /// Waits for the value.
  ///
  /// Returns:  nullopt when the sender went without having sent, or the value was taken before.
  /// Errors:   cancelled, and the value is still to come or still there.
  /// Lifetime: this end outlives the co_await.
  /// Cost:     with the value there it neither suspends nor allocates.
  [[nodiscard]] detail::oneshot_receive<T> receive() const noexcept {
    return detail::oneshot_receive<T>(*state_);
  }

  /// Refuses what was not sent before: a send from now on gives false. Whether there was one,
  /// receive() and try_receive() tell at once.
  void close() const noexcept { state_->drop_receiver(); }

  /// Without waiting: nullopt when there is nothing, or nothing yet.
  [[nodiscard]] std::optional<T> try_receive() const noexcept {
    if (!state_->settled(nullptr)) return std::nullopt;
    return std::exchange(state_->value, std::nullopt);
  }

private:
  std::shared_ptr<detail::oneshot_state<T>> state_;
};

/// Both ends of a oneshot, to be taken apart by a structured binding.
template <class T>
struct oneshot_ends {
  oneshot_sender<T> sender;
  oneshot_receiver<T> receiver;
};

/// Makes a oneshot: `auto [tx, rx] = weft::oneshot<reply>();`
///
/// Errors:   bad_alloc.
/// Cost:     one allocation.
template <class T>
[[nodiscard]] oneshot_ends<T> oneshot() {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "weft: a oneshot moves its value under a lock: T's move must be noexcept");
  auto state = std::make_shared<detail::oneshot_state<T>>();
  return {oneshot_sender<T>(state), oneshot_receiver<T>(std::move(state))};
}

}  // namespace weft

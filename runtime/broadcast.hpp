// SPDX-License-Identifier: MIT
#pragma once
// broadcast: a bounded queue of which every receiver sees everything, from its subscription on.
// `auto [tx, rx] = broadcast<T>(n)`; tx.subscribe() makes further receivers. Nothing is lost: the
// sender waits while the slowest receiver is n values behind, so a receiver that is not read any
// more must be dropped. It closes when close() is called or the last sender goes; receivers then
// drain what is left.
//
// A slot counts the receivers that have not passed it, and stays as it is until they have. So a
// receiver copies its value without the lock; the last one moves it out. Receivers pass the slots
// in order: they also get free in order.

#include "weft/runtime/channel.hpp"
#include "weft/runtime/waiter_list.hpp"

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

template <class T>
class broadcast_receiver;

namespace detail {

/// What all ends share. Guarded by the lock: everything but `capacity_`.
template <class T>
class broadcast_state {
public:
  explicit broadcast_state(std::size_t n)
      : slots_(std::make_unique_for_overwrite<slot[]>(n)), capacity_(n) {}
  ~broadcast_state() {
    for (; begin_ != end_; ++begin_) std::destroy_at(at(begin_).value());
  }

  /// `unsent` when there is no room; `self` is queued then.
  send_state try_send(T& value, channel_sender_waiter<T>* self) noexcept {
    lock.lock();
    if (closed_ || end_ - begin_ == capacity_) {
      const send_state now = closed_ ? send_state::closed : send_state::unsent;
      if (!closed_ && self != nullptr) senders_.push(*self);
      lock.unlock();
      return now;
    }
    put(value);
    listed_waiter* const receivers = receivers_.take_all();
    lock.unlock();
    complete_all(receivers);
    return send_state::sent;
  }

  /// Whether there is a value for who comes to the place `next`, or will never be one; queues
  /// `self` when it isn't known.
  bool settled(std::uint64_t next, listed_waiter* self) noexcept {
    const std::lock_guard guard(lock);
    if (next != end_ || closed_) return true;
    if (self != nullptr) receivers_.push(*self);
    return false;
  }

  /// Takes the value at `next` and goes on to the next place; nullopt when there is none. What T's
  /// copy throws leaves everything as it was.
  std::optional<T> receive(std::uint64_t& next) {
    std::optional<T> value;
    std::optional<T> left_over;  // goes without the lock
    lock.lock();
    if (next == end_) {
      lock.unlock();
      return value;
    }
    if (at(next).unread != 1) {
      lock.unlock();
      value.emplace(std::as_const(*at(next).value()));
      lock.lock();
    }
    pass(next, value ? left_over : value);
    unlock_refilled();
    return value;
  }

  void close() noexcept {
    lock.lock();
    closed_ = true;
    listed_waiter* const receivers = receivers_.take_all();
    listed_waiter* const senders = senders_.take_all();
    for (listed_waiter* s = senders; s != nullptr; s = s->behind)
      static_cast<channel_sender_waiter<T>*>(s)->state = send_state::closed;
    lock.unlock();
    complete_all(receivers);
    complete_all(senders);
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
  /// Gives the place of the first value that the receiver sees.
  std::uint64_t add_receiver() noexcept {
    const std::lock_guard guard(lock);
    ++receiver_count_;
    return end_;
  }
  void drop_receiver(std::uint64_t next) noexcept {
    for (bool more = true; more;) {
      std::optional<T> left_over;  // goes without the lock
      lock.lock();
      more = next != end_;
      if (more) {
        pass(next, left_over);
      } else {
        --receiver_count_;
      }
      unlock_refilled();
    }
  }

  spin_lock lock;

private:
  struct slot {
    T* value() noexcept { return reinterpret_cast<T*>(bytes); }

    plain<std::size_t> unread;  // receivers that have not passed it
    alignas(T) unsigned char bytes[sizeof(T)];
  };

  slot& at(std::uint64_t place) noexcept { return slots_[place % capacity_]; }
  /// A receiver goes on from the place `next`. The last one frees it and takes out the value.
  void pass(std::uint64_t& next, std::optional<T>& into) noexcept {
    slot& s = at(next++);
    if (--s.unread != 0) return;
    into.emplace(std::move(*s.value()));
    std::destroy_at(s.value());
    ++begin_;
  }
  /// With nobody there to see it a value goes nowhere.
  void put(T& value) noexcept {
    if (receiver_count_ == 0) return;
    slot& s = at(end_++);
    std::construct_at(s.value(), std::move(value));
    s.unread = receiver_count_;
  }
  /// Lets senders that wait have the room that there is, and the lock go.
  void unlock_refilled() noexcept {
    waiter_list sent;
    while (end_ - begin_ != capacity_ && !senders_.empty()) {
      auto& sender = static_cast<channel_sender_waiter<T>&>(*senders_.take());
      put(*sender.value);
      sender.state = send_state::sent;
      sent.push(sender);
    }
    listed_waiter* const receivers = sent.empty() ? nullptr : receivers_.take_all();
    listed_waiter* const senders = sent.take_all();
    lock.unlock();
    complete_all(senders);
    complete_all(receivers);
  }

  const std::unique_ptr<slot[]> slots_;
  const std::size_t capacity_;
  plain<std::uint64_t> begin_ = 0;  // places of the oldest value that somebody has not seen ...
  plain<std::uint64_t> end_ = 0;    // ... and of the next one to be sent
  plain<std::size_t> sender_count_ = 0;
  plain<std::size_t> receiver_count_ = 0;
  plain<bool> closed_ = false;
  waiter_list senders_;    // only while the slots are full
  waiter_list receivers_;  // who has seen everything
};

template <class T, class Held>
class broadcast_send
    : public awaitable_operation<broadcast_send<T, Held>, void, channel_sender_waiter<T>> {
public:
  static constexpr const char* name = "broadcast_sender::send";

  broadcast_send(broadcast_state<T>& b, Held v) : state_(&b), held_(static_cast<Held&&>(v)) {}

  bool try_now(worker&) noexcept {
    this->value = std::addressof(held_);
    this->state = state_->try_send(*this->value, nullptr);
    return this->state != send_state::unsent;
  }
  bool start(worker&) noexcept {
    const send_state now = state_->try_send(*this->value, this);
    if (now == send_state::unsent) return true;  // queued: `state` is another thread's to write
    this->state = now;
    return false;
  }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<broadcast_send&>(op);
    self.withdrawn_ = withdraw_waiter(self, self.state_->lock);
    return self.withdrawn_;
  }
  result<void> finish() noexcept {
    if (withdrawn_) return failure{cancelled_code()};
    if (this->state == send_state::closed)
      return failure{std::error_code(EPIPE, std::system_category())};
    return {};
  }

private:
  broadcast_state<T>* state_;
  Held held_;
  bool withdrawn_ = false;
};

template <class T>
class broadcast_receive
    : public awaitable_operation<broadcast_receive<T>, std::optional<T>, listed_waiter> {
public:
  static constexpr const char* name = "broadcast_receiver::receive";

  explicit broadcast_receive(broadcast_receiver<T>& r) noexcept : receiver_(&r) {}

  bool try_now(worker&) noexcept { return receiver_->state_->settled(receiver_->next_, nullptr); }
  bool start(worker&) noexcept { return !receiver_->state_->settled(receiver_->next_, this); }
  static bool withdraw(operation& op, worker&) noexcept {
    auto& self = static_cast<broadcast_receive&>(op);
    self.withdrawn_ = withdraw_waiter(self, self.receiver_->state_->lock);
    return self.withdrawn_;
  }
  result<std::optional<T>> finish() noexcept(std::is_nothrow_copy_constructible_v<T>) {
    if (withdrawn_) return failure{cancelled_code()};
    return result<std::optional<T>>(receiver_->state_->receive(receiver_->next_));
  }

private:
  broadcast_receiver<T>* receiver_;
  bool withdrawn_ = false;
};

}  // namespace detail

/// The end of a broadcast that values are taken from: all that were sent since it was made.
///
/// Thread:   one task at a time, on any scheduler.
/// Lifetime: keeps the broadcast alive. While it lives senders wait for it.
template <class T>
class broadcast_receiver {
public:
  explicit broadcast_receiver(std::shared_ptr<detail::broadcast_state<T>> s) noexcept
      : state_(std::move(s)), next_(state_->add_receiver()) {}
  broadcast_receiver(broadcast_receiver&& other) noexcept = default;
  broadcast_receiver& operator=(broadcast_receiver&& other) noexcept {
    state_.swap(other.state_);
    std::swap(next_, other.next_);
    return *this;
  }
  ~broadcast_receiver() {
    if (state_ != nullptr) state_->drop_receiver(next_);
  }

  /// The next value, waiting for it.
  ///
  /// Returns:  nullopt when the broadcast is closed and nothing is left.
  /// Errors:   cancelled, or what T's copy throws; nothing was taken then.
  /// Lifetime: this end outlives the co_await.
  /// Cost:     one copy of the value, none for the receiver that comes last. With a value there it
  ///           neither suspends nor allocates.
  [[nodiscard]] detail::broadcast_receive<T> receive() noexcept {
    return detail::broadcast_receive<T>(*this);
  }

  /// Without waiting: nullopt when there is nothing.
  [[nodiscard]] std::optional<T> try_receive() { return state_->receive(next_); }

private:
  friend detail::broadcast_receive<T>;

  std::shared_ptr<detail::broadcast_state<T>> state_;
  std::uint64_t next_;  // place of the next value
};

/// The end of a broadcast that values are put into. Copies are ends of the same broadcast.
///
/// Thread:   any task; each copy is used by one thread at a time.
/// Lifetime: keeps the broadcast alive. When the last one goes it closes.
template <class T>
class broadcast_sender {
public:
  explicit broadcast_sender(std::shared_ptr<detail::broadcast_state<T>> s) noexcept
      : state_(std::move(s)) {
    state_->add_sender();
  }
  broadcast_sender(const broadcast_sender& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_sender();
  }
  broadcast_sender(broadcast_sender&& other) noexcept = default;
  broadcast_sender& operator=(broadcast_sender other) noexcept {
    state_.swap(other.state_);
    return *this;
  }
  ~broadcast_sender() {
    if (state_ != nullptr) state_->drop_sender();
  }

  /// Sends a value to all receivers, waiting until the slowest has room. With no receivers it goes
  /// nowhere, at once.
  ///
  /// Errors:   system_error(broken_pipe) when the broadcast is closed, `cancelled`; the value is
  ///           untouched and nobody sees it.
  /// Lifetime: this end and the value outlive the co_await.
  /// Cost:     with room it neither suspends nor allocates; linear in the receivers that wait.
  [[nodiscard]] detail::broadcast_send<T, T&> send(T&& value) const noexcept {
    return detail::broadcast_send<T, T&>(*state_, value);
  }
  [[nodiscard]] detail::broadcast_send<T, T> send(const T& value) const {
    return detail::broadcast_send<T, T>(*state_, T(value));
  }

  /// Without waiting: false when there is no room or it is closed; the value is untouched then.
  [[nodiscard]] bool try_send(T&& value) const noexcept {
    return state_->try_send(value, nullptr) == detail::send_state::sent;
  }
  [[nodiscard]] bool try_send(const T& value) const { return try_send(T(value)); }

  /// One more receiver: it sees what is sent from now on.
  [[nodiscard]] broadcast_receiver<T> subscribe() const noexcept {
    return broadcast_receiver<T>(state_);
  }

  /// No more values: receivers drain what is left, waiting senders fail.
  void close() const noexcept { state_->close(); }

private:
  std::shared_ptr<detail::broadcast_state<T>> state_;
};

/// Both ends of a broadcast, to be taken apart by a structured binding.
template <class T>
struct broadcast_ends {
  broadcast_sender<T> sender;
  broadcast_receiver<T> receiver;
};

/// Makes a broadcast: `auto [tx, rx] = weft::broadcast<event_record>(64);`
///
/// Shape:    a receiver may be `capacity` values behind, at least 1. For what is dear to copy take
///           a `shared_ptr<const T>`.
/// Errors:   bad_alloc; system_error(invalid_argument) for a capacity of 0.
/// Cost:     one allocation for the state and one for the slots; none per value.
template <class T>
[[nodiscard]] broadcast_ends<T> broadcast(std::size_t capacity) {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "weft: a broadcast moves its values under a lock: T's move must be noexcept");
  static_assert(std::copy_constructible<T>,
                "weft: a broadcast gives each receiver a copy: T must be copyable; share what is "
                "not as shared_ptr<const T>");
  if (capacity == 0)
    throw_error(std::make_error_code(std::errc::invalid_argument),
                "broadcast: the capacity is zero");
  auto state = std::make_shared<detail::broadcast_state<T>>(capacity);
  return {broadcast_sender<T>(state), broadcast_receiver<T>(std::move(state))};
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// What the two ends of a channel share: a ring of slots, and those who wait. Senders have a lock
// and receivers have one, so that the two sides meet only when one has used up what it knew of the
// other. A side's lock guards its position in the ring, and those whom it serves: the senders' lock
// the receivers that wait, the receivers' lock the senders. Lock order: receivers', senders'.
//
// The invariant: receivers wait only while the ring is empty, senders only while it is full; while
// they do it stays so.
//   - Who queues has the lock of its queue, and sees under it that the ring is empty, or full: no
//     other side can change that without the lock.
//   - A sender that finds a receiver waiting gives it the value, and leaves the ring alone.
//   - Who takes a value out while senders wait puts the value of the first one in, with both locks:
//     no other sender sees the room between.
//   - `closed_` is written with both locks.
// Without slots the ring is both empty and full, and nothing is ever put in. Who queues then has
// both locks, and sees that nobody waits on the other side.
//
//   C1: put stores the senders' count (release) -> a receiver loads it (acquire): hands over the
//       slots with values in them.
//   C2: take stores the receivers' count (release) -> a sender loads it (acquire): a slot is used
//       again after its value has left.

#include "weft/runtime/detail/back_off.hpp"
#include "weft/runtime/prefetch.hpp"
#include "weft/runtime/wait_note.hpp"
#include "weft/runtime/waiter_list.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace weft::detail {

enum class send_state : unsigned char { unsent, sent, closed };

template <class T>
struct channel_receiver_waiter : listed_waiter {
  using listed_waiter::listed_waiter;
  /// Of one that does not wait yet.
  channel_receiver_waiter(const channel_receiver_waiter& other) noexcept : listed_waiter(other) {}
  channel_receiver_waiter& operator=(const channel_receiver_waiter&) = delete;

  std::optional<T> value{};  // put here by the sender
};

template <class T>
struct channel_sender_waiter : listed_waiter {
  using listed_waiter::listed_waiter;
  plain<T*> value = nullptr;
  plain<send_state> state = send_state::unsent;
};

template <class T>
class channel_state {
public:
  explicit channel_state(std::size_t n)
      : capacity_(n), slots_(n == 0 ? nullptr : std::make_unique_for_overwrite<slot[]>(n)) {}
  channel_state(const channel_state&) = delete;
  channel_state& operator=(const channel_state&) = delete;
  ~channel_state() {
    while (has_value()) {
      std::destroy_at(at(receiving_.next));
      pass(receiving_);
    }
  }

  /// Receives into `into` (left empty when the channel is closed and drained); false when there is
  /// nothing yet.
  bool try_receive(std::optional<T>& into) noexcept { return receive(into, nullptr); }
  /// The same, but `self` is queued then.
  bool receive_or_queue(std::optional<T>& into, channel_receiver_waiter<T>& self) noexcept {
    if (capacity_ == 0) return receive(into, &self);
    while (!try_queue(self))
      if (try_receive(into)) return true;
    return false;
  }

  /// `unsent` when there is no room.
  send_state try_send(T& value) noexcept { return send(value, nullptr); }
  /// The same, but `self` is queued then.
  send_state send_or_queue(T& value, channel_sender_waiter<T>& self) noexcept {
    if (capacity_ == 0) return send(value, &self);
    while (!try_queue(self))
      if (const send_state now = try_send(value); now != send_state::unsent) return now;
    return send_state::unsent;
  }

  /// Without a lock: true when there is certainly nothing to be had, for now. Not in a channel
  /// without slots.
  bool seems_empty() const noexcept {
    // relaxed: what happened before the call is seen, and what happens meanwhile may be missed
    const std::size_t n = receiving_.count.load(std::memory_order_relaxed);
    return n == receiving_.known.load(std::memory_order_relaxed) && capacity_ != 0 &&
           n == sending_.count.load(std::memory_order_relaxed);
  }
  bool seems_full() const noexcept {
    // relaxed: as above
    const std::size_t n = sending_.count.load(std::memory_order_relaxed) - capacity_;
    return n == sending_.known.load(std::memory_order_relaxed) && capacity_ != 0 &&
           n == receiving_.count.load(std::memory_order_relaxed);
  }

  /// Takes a waiter out of its queue before it was granted anything.
  bool withdraw_receiver(listed_waiter& w) noexcept { return withdraw_waiter(w, sending_.lock); }
  bool withdraw_sender(listed_waiter& w) noexcept { return withdraw_waiter(w, receiving_.lock); }

  void close() noexcept {
    receiving_.lock.lock();
    sending_.lock.lock();
    closed_ = true;
    listed_waiter* const receivers = receivers_.take_all();
    listed_waiter* const senders = senders_.take_all();
    for (listed_waiter* s = senders; s != nullptr; s = s->behind)
      static_cast<channel_sender_waiter<T>*>(s)->state = send_state::closed;
    sending_.lock.unlock();
    receiving_.lock.unlock();
    complete_all(receivers);
    complete_all(senders);
  }

  void describe(wait_note& note) noexcept {
    const std::lock_guard no_receiver(receiving_.lock);
    const std::lock_guard no_sender(sending_.lock);
    note.is_channel = true;
    note.values = own(sending_.count) - own(receiving_.count);
    note.capacity = capacity_;
    note.senders = sender_count_;
  }

  void add_sender() noexcept {
    const std::lock_guard guard(sending_.lock);
    ++sender_count_;
  }
  void drop_sender() noexcept {
    sending_.lock.lock();
    const bool last = --sender_count_ == 0 && !closed_;
    sending_.lock.unlock();
    if (last) close();
  }

  /// Whose tasks alone send, for reports. Set before it is used.
  cancel_scope* fed_by = nullptr;

private:
  struct slot {
    alignas(T) unsigned char bytes[sizeof(T)];
  };
  struct alignas(cache_line_size) side {
    back_off_lock lock;
    plain<std::size_t> next = 0;   // the slot
    atomic<std::size_t> known{0};  // the other side's count when it was looked at last
    atomic<std::size_t> count{0};  // values that have passed
  };

  /// Where the slots after the next ones are, two cache lines further on or one slot: while the
  /// other side is not so near they come over before they are needed.
  static constexpr std::size_t ahead =
      sizeof(slot) < 2 * cache_line_size ? 2 * cache_line_size / sizeof(slot) : 1;
  const void* ahead_of(const side& s) const noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(slots_.get() + s.next);
    return reinterpret_cast<const void*>(at + ahead * sizeof(slot));  // past the end it is a hint
  }

  // With the side's lock.

  static std::size_t own(const atomic<std::size_t>& n) noexcept {
    return n.load(std::memory_order_relaxed);  // relaxed: written under the lock
  }
  bool has_value() noexcept {
    const std::size_t n = own(receiving_.count);
    const std::size_t there = own(receiving_.known) - n;
    if (there != 0) {
      if (there > 2 * ahead) prefetch(ahead_of(receiving_));
      return true;
    }
    const std::size_t sent = sending_.count.load(std::memory_order_acquire);  // sync: C1
    receiving_.known.store(sent, std::memory_order_relaxed);  // relaxed: under the lock
    return sent != n;
  }
  bool has_room() noexcept {
    const std::size_t n = own(sending_.count);
    const std::size_t room = own(sending_.known) + capacity_ - n;
    if (room != 0) {
      if (room > 2 * ahead) __builtin_prefetch(ahead_of(sending_), 1);  // to be written
      return true;
    }
    const std::size_t taken = receiving_.count.load(std::memory_order_acquire);  // sync: C2
    sending_.known.store(taken, std::memory_order_relaxed);  // relaxed: under the lock
    return n - taken != capacity_;
  }
  T* at(std::size_t i) noexcept { return reinterpret_cast<T*>(slots_[i].bytes); }
  void take(std::optional<T>& into) noexcept {
    T* const oldest = at(receiving_.next);
    into.emplace(std::move(*oldest));
    std::destroy_at(oldest);
    pass(receiving_);  // sync: C2
  }
  void put(T& value) noexcept {
    std::construct_at(at(sending_.next), std::move(value));
    pass(sending_);  // sync: C1
  }
  void pass(side& s) noexcept {
    const std::size_t next = s.next + 1;
    s.next = next == capacity_ ? 0 : next;
    s.count.store(own(s.count) + 1, std::memory_order_release);  // sync: C1, C2
  }

  bool try_queue(channel_receiver_waiter<T>& self) noexcept {
    const std::lock_guard guard(sending_.lock);
    // relaxed: an old count is another one than the senders'
    const std::size_t taken = receiving_.count.load(std::memory_order_relaxed);
    if (closed_ || taken != own(sending_.count)) return false;
    receivers_.push(self);
    return true;
  }
  bool try_queue(channel_sender_waiter<T>& self) noexcept {
    const std::lock_guard guard(receiving_.lock);
    // relaxed: an old count leaves room
    const std::size_t sent = sending_.count.load(std::memory_order_relaxed);
    if (closed_ || sent - own(receiving_.count) != capacity_) return false;
    senders_.push(self);
    return true;
  }

  /// `self`, where there are no slots: to be queued if there is nothing yet.
  bool receive(std::optional<T>& into, channel_receiver_waiter<T>* self) noexcept {
    receiving_.lock.lock();
    if (!senders_.empty()) [[unlikely]]
      return receive_from_waiting(into);
    if (!has_value()) [[unlikely]]
      return find_no_value(self);
    take(into);
    receiving_.lock.unlock();
    return true;
  }
  send_state send(T& value, channel_sender_waiter<T>* self) noexcept {
    sending_.lock.lock();
    if (closed_ || !receivers_.empty()) [[unlikely]]
      return send_to_waiting(value);
    if (!has_room()) [[unlikely]]
      return find_no_room(value, self);
    put(value);
    sending_.lock.unlock();
    return send_state::sent;
  }

  // The rare ends of these two, with the lock of their side, which they let go.

  [[gnu::noinline]] bool receive_from_waiting(std::optional<T>& into) noexcept {
    listed_waiter* const sender = senders_.take();
    T& value = *accept(*sender);
    if (has_value()) {
      const std::lock_guard no_sender(sending_.lock);
      take(into);
      sending_.known.store(own(receiving_.count), std::memory_order_relaxed);  // relaxed: as there
      put(value);
    } else {
      into.emplace(std::move(value));
    }
    receiving_.lock.unlock();
    sender->complete();
    return true;
  }

  [[gnu::noinline]] bool find_no_value(channel_receiver_waiter<T>* self) noexcept {
    const bool closed = closed_;
    if (!closed && self != nullptr) {
      const std::lock_guard no_sender(sending_.lock);
      receivers_.push(*self);
    }
    receiving_.lock.unlock();
    return closed;
  }

  [[gnu::noinline]] send_state send_to_waiting(T& value) noexcept {
    if (closed_) {
      sending_.lock.unlock();
      return send_state::closed;
    }
    auto& receiver = static_cast<channel_receiver_waiter<T>&>(*receivers_.take());
    receiver.value.emplace(std::move(value));
    sending_.lock.unlock();
    receiver.complete();
    return send_state::sent;
  }

  [[gnu::noinline]] send_state find_no_room(T& value, channel_sender_waiter<T>* self) noexcept {
    sending_.lock.unlock();
    if (self == nullptr) return send_state::unsent;
    // In this order; and what has been seen is to be looked at anew.
    receiving_.lock.lock();
    sending_.lock.lock();
    if (closed_ || !receivers_.empty()) {
      receiving_.lock.unlock();
      return send_to_waiting(value);
    }
    senders_.push(*self);
    sending_.lock.unlock();
    receiving_.lock.unlock();
    return send_state::unsent;
  }

  static T* accept(listed_waiter& w) noexcept {
    auto& sender = static_cast<channel_sender_waiter<T>&>(w);
    sender.state = send_state::sent;
    return sender.value;
  }

  // fixed after start, or seldom written
  const std::size_t capacity_;
  const std::unique_ptr<slot[]> slots_;
  plain<bool> closed_ = false;           // read with either lock
  plain<std::size_t> sender_count_ = 0;  // the senders' lock
  waiter_list receivers_;                // the senders' lock
  waiter_list senders_;                  // the receivers' lock
  side receiving_;
  side sending_;
};

}  // namespace weft::detail

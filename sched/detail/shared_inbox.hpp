// SPDX-License-Identifier: MIT
#pragma once
// What is sent to a pool and not to one of its workers: functions that were posted, the callbacks
// of a task's stop tokens, tasks that start. Each message may take long, so a worker takes one at a
// time, the oldest, and the others stay where the next worker finds them.
//
//   I1: push, or take when it leaves some behind, publishes what can be taken (seq_cst); then its
//       caller asks for sleepers | a worker announces its sleep (seq_cst), then asks empty()
//       (seq_cst): either the caller sees the sleeper, or the sleeper sees the message.
//   While a take has them in its hands they are not seen. It tells of those that it leaves behind
//   afterwards, as of something new.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/message.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <atomic>
#include <mutex>

namespace weft::detail {

/// Many senders, many receivers, in the order of sending. Holds no memory of its own.
template <class Atomics = std_atomics, class Lock = spin_lock>
class basic_shared_inbox {
public:
  /// The caller asks for sleepers afterwards. Thread: any.
  void push(message& m) noexcept { sent_.push(m); }

  /// The oldest, or nullptr. `tell_of_more` is called when some are left: it asks for sleepers.
  /// Thread: any.
  template <class TellOfMore>
  message* take(TellOfMore tell_of_more) noexcept {
    if (empty()) return nullptr;
    std::unique_lock guard(lock_);
    message* m = oldest_.load(std::memory_order_relaxed);  // relaxed: under the lock
    if (m == nullptr) m = sent_.drain();
    if (m == nullptr) return nullptr;
    message* const rest = m->next_message;
    oldest_.store(rest, std::memory_order_seq_cst);  // sync: I1
    guard.unlock();
    if (rest != nullptr) tell_of_more();
    return m;
  }

  /// Thread: any; a worker asks before it sleeps.
  bool empty() const noexcept {
    return oldest_.load(std::memory_order_seq_cst) == nullptr && sent_.empty();  // sync: I1
  }

private:
  basic_mailbox<Atomics> sent_;
  // What was taken out of that, but not by anybody yet; changed under the lock.
  typename Atomics::template atomic<message*> oldest_{nullptr};
  Lock lock_;
};

using shared_inbox = basic_shared_inbox<>;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// What one thread asks of another: an intrusive node with a function that the receiving worker
// calls between two resumes. Cold by design: wake-ups within a scheduler don't come this way.
//
//   M1: push publishes the node (seq_cst CAS) -> drain takes the list (acquire exchange): hands
//       over the node and what its sender wrote before.
//   M2: push (seq_cst), then the sender reads the idle word (seq_cst)
//       | a worker announces its sleep there (seq_cst), then asks empty() (seq_cst):
//       either the sender sees the sleeper or the sleeper sees the message.
//   Who sends to one worker unparks it after the push: the parker's word hands the push over.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/suspended.hpp"

#include <atomic>

namespace weft::detail {

struct worker;

struct message {
  message() noexcept : deliver(nullptr) {}
  explicit message(before_waiting) noexcept {}

  message* next_message;  // set by push
  void (*deliver)(message&, worker&) noexcept;
};

/// Many senders, one receiver, in the order of sending. Holds no memory of its own.
template <class Atomics = std_atomics>
class basic_mailbox {
public:
  /// Thread: any. The node belongs to the receiver until its deliver() runs.
  void push(message& m) noexcept {
    message* head = head_.load(std::memory_order_relaxed);  // relaxed: only a guess for the CAS
    do {
      m.next_message = head;
    } while (!head_.compare_exchange_weak(head, &m, std::memory_order_seq_cst,  // sync: M1, M2
                                          std::memory_order_relaxed));
  }

  /// The whole list, oldest first. Thread: the receiver, or several: each message goes to one.
  message* drain() noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;  // relaxed: M2 is empty()
    message* newest = head_.exchange(nullptr, std::memory_order_acquire);  // sync: M1
    message* oldest = nullptr;
    while (newest != nullptr) {
      message* const next = newest->next_message;
      newest->next_message = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

  /// Thread: any; the receiver asks before it sleeps.
  bool empty() const noexcept {
    return head_.load(std::memory_order_seq_cst) == nullptr;  // sync: M2
  }

private:
  typename Atomics::template atomic<message*> head_{nullptr};
};

using mailbox = basic_mailbox<>;

}  // namespace weft::detail

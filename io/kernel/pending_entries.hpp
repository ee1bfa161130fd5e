// SPDX-License-Identifier: MIT
#pragma once
// The entries that the emulated kernel has taken and not completed: for each a record that is in
// one list, and can be found by its user_data. Memory comes in blocks and is kept for the next
// ones; reserve() gets it before an entry is taken, so that nothing fails halfway.

#include "weft/io/helper_job.hpp"
#include "weft/io/kernel/emulated_call.hpp"
#include "weft/runtime/timer_queue.hpp"

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace weft::detail {

class epoll_queue;
class pending_list;

/// What becomes of a pending entry next.
enum class entry_state : unsigned char {
  waiting,    // for its descriptor to become ready; for nothing but a cancel, when nobody watches
  timing,     // for its deadline, or until it is tried again
  again,      // may go on: it has only given way to others
  on_helper,  // queued for a helper thread, or running there
  finished,   // for room in the completion queue
};

/// Two cache lines: what only helpers and time-outs need, and the rest.
struct alignas(64) pending_entry : helper_job, timer {
  pending_entry() noexcept : helper_job(nullptr) {}

  io_uring_sqe* sqe = nullptr;  // what is left of it
  pending_list* list = nullptr;
  pending_entry* previous = nullptr;
  pending_entry* following = nullptr;
  pending_entry* same_bucket = nullptr;
  epoll_queue* queue = nullptr;
  int res = 0;
  int transferred = 0;  // by earlier steps of one that goes on until all is done
  unsigned flags = 0;   // of the completion
  call_kind kind = call_kind::unknown;
  entry_state state = entry_state::waiting;
  bool started = false;  // it has been tried, or has given something
  bool stopped = false;  // a cancel came too late for the call that runs: it goes no further
};

static_assert(sizeof(pending_entry) == 128);

/// Oldest first.
class pending_list {
public:
  bool empty() const noexcept { return oldest_ == nullptr; }
  pending_entry* oldest() const noexcept { return oldest_; }
  void push(pending_entry& e) noexcept {
    e.list = this;
    e.previous = newest_;
    e.following = nullptr;
    (newest_ != nullptr ? newest_->following : oldest_) = &e;
    newest_ = &e;
  }
  void remove(pending_entry& e) noexcept {
    (e.previous != nullptr ? e.previous->following : oldest_) = e.following;
    (e.following != nullptr ? e.following->previous : newest_) = e.previous;
    e.list = nullptr;
  }
  /// All of them, at the end of another list.
  void move_to(pending_list& other) noexcept;

private:
  pending_entry* oldest_ = nullptr;
  pending_entry* newest_ = nullptr;
};

/// Thread: the queue's owner.
class pending_entries {
public:
  pending_entries(epoll_queue& queue, helper_job::run_fn on_helper) noexcept
      : queue_(&queue), on_helper_(on_helper) {}
  pending_entries(const pending_entries&) = delete;
  pending_entries& operator=(const pending_entries&) = delete;

  /// Makes the next add() succeed. False without memory.
  [[nodiscard]] bool reserve() noexcept { return free_ != nullptr || add_block(); }

  /// A record of `sqe`, in no list. After reserve().
  pending_entry& add(const io_uring_sqe& sqe, call_kind kind) noexcept;
  /// Forgets it. It is in no list.
  void remove(pending_entry& e) noexcept;

  /// One with that user_data for which `wanted(entry)`, or null.
  template <class Wanted>
  pending_entry* find(std::uint64_t user_data, Wanted wanted) const noexcept {
    if (buckets_.empty()) return nullptr;
    pending_entry* e = buckets_[bucket_of(user_data)];
    while (e != nullptr && !(e->sqe->user_data == user_data && wanted(*e))) e = e->same_bucket;
    return e;
  }

  std::size_t size() const noexcept { return size_; }

private:
  static constexpr std::size_t block_size = 64;

  struct freed {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  struct block {
    std::unique_ptr<pending_entry[]> records;
    std::unique_ptr<io_uring_sqe, freed> sqes;  // a cache line each
  };

  bool add_block() noexcept;
  std::size_t bucket_of(std::uint64_t user_data) const noexcept {
    // Fibonacci hashing: addresses differ in their middle bits.
    return static_cast<std::size_t>((user_data * 0x9e3779b97f4a7c15u) >> 32) &
           (buckets_.size() - 1);
  }

  epoll_queue* const queue_;
  const helper_job::run_fn on_helper_;
  std::vector<block> blocks_;
  std::vector<pending_entry*> buckets_;  // a power of two, at least one for each record
  pending_entry* free_ = nullptr;        // linked through `following`
  std::size_t size_ = 0;
};

}  // namespace weft::detail

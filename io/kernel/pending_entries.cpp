// SPDX-License-Identifier: MIT
#include "weft/io/kernel/pending_entries.hpp"

#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

namespace weft::detail {

void pending_list::move_to(pending_list& other) noexcept {
  while (pending_entry* const e = oldest_) {
    remove(*e);
    other.push(*e);
  }
}

bool pending_entries::add_block() noexcept {
  try {
    const std::size_t records = (blocks_.size() + 1) * block_size;
    std::vector<pending_entry*> larger;
    if (records > buckets_.size()) larger.resize(std::bit_ceil(records));
    blocks_.reserve(blocks_.size() + 1);
    block added;
    added.records = std::make_unique<pending_entry[]>(block_size);
    added.sqes.reset(
        static_cast<io_uring_sqe*>(std::aligned_alloc(64, block_size * sizeof(io_uring_sqe))));
    if (added.sqes == nullptr) return false;
    for (std::size_t i = 0; i < block_size; ++i) {
      pending_entry& e = added.records[i];
      e.run = on_helper_;
      e.queue = queue_;
      e.sqe = added.sqes.get() + i;
      e.following = free_;
      free_ = &e;
    }
    blocks_.push_back(std::move(added));
    if (larger.empty()) return true;
    larger.swap(buckets_);
    for (pending_entry* e : larger)
      while (e != nullptr) {
        pending_entry*& bucket = buckets_[bucket_of(e->sqe->user_data)];
        pending_entry* const next = std::exchange(e->same_bucket, bucket);
        bucket = e;
        e = next;
      }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

pending_entry& pending_entries::add(const io_uring_sqe& sqe, call_kind kind) noexcept {
  pending_entry& e = *free_;
  free_ = e.following;
  *e.sqe = sqe;
  e.kind = kind;
  e.res = 0;
  e.transferred = 0;
  e.flags = 0;
  e.state = entry_state::waiting;
  e.started = false;
  e.stopped = false;
  pending_entry*& bucket = buckets_[bucket_of(sqe.user_data)];
  e.same_bucket = bucket;
  bucket = &e;
  ++size_;
  return e;
}

void pending_entries::remove(pending_entry& e) noexcept {
  pending_entry** link = &buckets_[bucket_of(e.sqe->user_data)];
  while (*link != &e) link = &(*link)->same_bucket;
  *link = e.same_bucket;
  e.following = free_;
  free_ = &e;
  --size_;
}

}  // namespace weft::detail

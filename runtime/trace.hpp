// SPDX-License-Identifier: MIT
#pragma once
// What a worker notes down while it runs tasks, so that a picture of who ran when can be drawn
// afterwards.
//
// A worker that is being traced owns one `trace_lane` and adds a span after every stretch for which
// a task ran; a worker that is not has a null pointer and pays one predicted branch. Recording must
// not change what it records: no lock, no system call of its own, no exception, and memory that is
// bounded by a number of spans. Spans beyond it are counted, not stored. What becomes of the lanes
// (sections, pictures, files) is weft/sched/trace.hpp's business.

#include "weft/runtime/trace_span.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// What one worker did, span by span in the order of time.
///
/// Thread:   the owning worker writes; others read after the worker has been joined.
/// Cost:     add() is a comparison and a 48-byte store; one allocation every 4096 spans, which may
///            fail.
class trace_lane {
public:
  static constexpr std::size_t default_capacity = std::size_t{1} << 18;  // 12 MiB when full
  static constexpr std::int64_t merge_gap_ns = 1000;

  /// `number` tells the lanes of a recording apart. Allocates the table of chunks (not the chunks),
  /// so that add() never has to grow it.
  trace_lane(std::string name, std::size_t capacity = default_capacity, std::size_t number = 0)
      : name_{std::move(name)}, capacity_{capacity}, last_task_id_{std::uint64_t{number} << 40} {
    chunks_.reserve((capacity + chunk_spans - 1) / chunk_spans);
  }

  trace_lane(const trace_lane&) = delete;
  trace_lane& operator=(const trace_lane&) = delete;

  /// Appends a span. One that continues the last span's task within a microsecond lengthens that
  /// span instead. When the lane is full (or memory is) the span is counted in dropped(), nothing
  /// else happens.
  void add(const trace_span& span) noexcept {
    if (last_ != nullptr && last_->task == span.task && !gap_after_last_ &&
        span.begin_ns - last_->end_ns < merge_gap_ns) {
      last_->end_ns = span.end_ns;
      last_->name = span.name;  // the library's own frame first, then what it was made for
      return;
    }
    if (trace_span* slot = next_slot()) {
      *slot = span;
      last_ = slot;
      return;
    }
    if (dropped_ == 0) dropped_begin_ns_ = span.begin_ns;
    dropped_end_ns_ = span.end_ns;
    gap_after_last_ = true;
    ++dropped_;
  }

  /// For a task that no lane of the recording has shown yet; never 0.
  std::uint64_t next_task_id() noexcept { return ++last_task_id_; }

  const std::string& name() const noexcept { return name_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  const trace_span& operator[](std::size_t i) const noexcept {
    return chunks_[i / chunk_spans][i % chunk_spans];
  }

  /// Spans that found no room, and the time from the first of them to the last (0, 0 when there
  /// are none).
  std::uint64_t dropped() const noexcept { return dropped_; }
  std::int64_t dropped_begin_ns() const noexcept { return dropped_begin_ns_; }
  std::int64_t dropped_end_ns() const noexcept { return dropped_end_ns_; }

private:
  static constexpr std::size_t chunk_spans = 4096;

  trace_span* next_slot() noexcept {
    // A lane that has dropped once stays full: spans after a hole would claim that nothing ran
    // in it.
    if (size_ == capacity_ || dropped_ != 0) return nullptr;
    if (size_ % chunk_spans == 0) {
      std::unique_ptr<trace_span[]> chunk{new (std::nothrow) trace_span[chunk_spans]};
      if (!chunk) return nullptr;
      // Cannot throw: the constructor reserved the room.
      chunks_.push_back(std::move(chunk));
    }
    const std::size_t i = size_++;
    return &chunks_[i / chunk_spans][i % chunk_spans];
  }

  // Fixed after construction.
  std::string name_;
  std::size_t capacity_;

  // Owner thread.
  std::uint64_t last_task_id_;
  std::vector<std::unique_ptr<trace_span[]>> chunks_;
  trace_span* last_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t dropped_ = 0;
  std::int64_t dropped_begin_ns_ = 0;
  std::int64_t dropped_end_ns_ = 0;
  bool gap_after_last_ = false;
};

}  // namespace weft

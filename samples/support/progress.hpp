// SPDX-License-Identifier: MIT
#pragma once
// One line on the terminal that says how far a program is; nothing at all when stderr is none.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace sample {

/// Thread: advance() from any worker; it never waits for another one that is printing.
/// Cost:   an atomic addition and a clock read; a line every 100 ms at most.
class progress {
public:
  /// `label` is what is counted, as in "files hashed". A `total` of 0 is unknown.
  explicit progress(std::string label, std::uint64_t total = 0);
  /// Removes the line.
  ~progress();
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  void set_total(std::uint64_t total) noexcept;
  void advance(std::uint64_t steps = 1);

private:
  void print(std::uint64_t done);

  // Fixed after construction.
  const std::string label_;
  const bool shown_;

  // Any thread. Counters that nothing else is read by: relaxed throughout.
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> total_;
  std::atomic<std::int64_t> next_ns_{0};

  std::mutex printing_;
  bool printed_ = false;  // under printing_
};

}  // namespace sample

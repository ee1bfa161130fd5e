// SPDX-License-Identifier: MIT
#pragma once
// Latencies of any number of operations in 30 KiB: counts in buckets whose width grows with the
// value, 64 to each doubling, so that a percentile is exact to 1.6 %.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sample {

/// One thread at a time; give each task or worker its own and merge() them.
class latency_histogram {
public:
  latency_histogram();

  /// Negative times count as 0.
  void add(std::chrono::nanoseconds time) noexcept;
  void merge(const latency_histogram& other) noexcept;

  std::uint64_t count() const noexcept { return count_; }
  std::chrono::nanoseconds max() const noexcept;

  /// The time that `percent` of all operations did not exceed, rounded up to its bucket's end; 0
  /// when there were none.
  std::chrono::nanoseconds percentile(double percent) const noexcept;

  /// "p50 41.2 µs, p90 60.1 µs, p99 0.21 ms, p99.9 1.02 ms, max 3.40 ms"
  std::string summary() const;

private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

}  // namespace sample

// SPDX-License-Identifier: MIT

#include "latency.hpp"

#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace sample {
namespace {

constexpr unsigned fine_bits = 6;  // 64 buckets to each doubling
constexpr std::size_t fine = std::size_t{1} << fine_bits;
constexpr std::size_t buckets = (64 - fine_bits + 1) * fine;

/// Values below 64 have a bucket each; above, the highest 7 bits choose it.
std::size_t bucket_of(std::uint64_t ns) noexcept {
  if (ns < fine) return ns;
  const auto shift = static_cast<unsigned>(std::bit_width(ns)) - fine_bits - 1;
  return shift * fine + (ns >> shift);
}

/// The largest value of a bucket.
std::uint64_t end_of(std::size_t bucket) noexcept {
  if (bucket < 2 * fine) return bucket;
  const std::size_t shift = bucket / fine - 1;
  const std::uint64_t leading = bucket % fine + fine;
  return ((leading + 1) << shift) - 1;  // wraps to the largest value in the last bucket
}

}  // namespace

latency_histogram::latency_histogram() : buckets_(buckets) {}

void latency_histogram::add(std::chrono::nanoseconds time) noexcept {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  ++buckets_[bucket_of(ns)];
  ++count_;
  max_ns_ = std::max(max_ns_, ns);
}

void latency_histogram::merge(const latency_histogram& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

std::chrono::nanoseconds latency_histogram::max() const noexcept {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(max_ns_)};
}

std::chrono::nanoseconds latency_histogram::percentile(double percent) const noexcept {
  const double part = std::clamp(percent, 0.0, 100.0) / 100;
  // The tolerance keeps 99.9 % of 1000 at 999 when the product comes out a hair above.
  const double rank = std::ceil(part * static_cast<double>(count_) * (1 - 1e-12));
  const std::uint64_t wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(rank), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size() && count_ != 0; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) {
      return std::chrono::nanoseconds{static_cast<std::int64_t>(std::min(end_of(i), max_ns_))};
    }
  }
  return max();
}

std::string latency_histogram::summary() const {
  return fmt::format("p50 {}, p90 {}, p99 {}, p99.9 {}, max {}", time_text(percentile(50)),
                     time_text(percentile(90)), time_text(percentile(99)),
                     time_text(percentile(99.9)), time_text(max()));
}

}  // namespace sample

// SPDX-License-Identifier: MIT

#include "progress.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace sample {
namespace {

constexpr std::string_view clear_line = "\r\x1b[K";
constexpr std::int64_t pause_ns = 100'000'000;

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds{1};
}

void put(std::string_view text) {
  // A terminal that went away is no reason to fail: the line is for the eyes only.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

progress::progress(std::string label, std::uint64_t total)
    : label_{std::move(label)}, shown_{::isatty(STDERR_FILENO) == 1}, total_{total} {}

progress::~progress() {
  if (printed_) put(clear_line);
}

void progress::set_total(std::uint64_t total) noexcept {
  total_.store(total, std::memory_order_relaxed);  // relaxed: see the field
}

void progress::advance(std::uint64_t steps) {
  if (!shown_) return;
  // relaxed: see the fields
  const std::uint64_t done = done_.fetch_add(steps, std::memory_order_relaxed) + steps;
  const std::int64_t now = now_ns();
  std::int64_t next = next_ns_.load(std::memory_order_relaxed);
  if (now < next) return;
  if (!next_ns_.compare_exchange_strong(next, now + pause_ns, std::memory_order_relaxed)) return;
  print(done);
}

void progress::print(std::uint64_t done) {
  const std::unique_lock lock{printing_, std::try_to_lock};
  if (!lock) return;
  printed_ = true;
  const std::uint64_t total = total_.load(std::memory_order_relaxed);  // relaxed: see the field
  const std::string of = total == 0 ? "" : fmt::format(" of {}", total);
  put(fmt::format("{}{}{} {}", clear_line, done, of, label_));
}

}  // namespace sample

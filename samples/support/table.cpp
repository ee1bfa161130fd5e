// SPDX-License-Identifier: MIT

#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace sample {
namespace {

std::string three_digits(double value) {
  const int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}", value, digits);
}

std::string padded_left(std::string_view text, std::size_t width) {
  const std::size_t own = display_width(text);
  return std::string(width > own ? width - own : 0, ' ').append(text);
}

std::string padded_right(std::string_view text, std::size_t width) {
  const std::size_t own = display_width(text);
  return std::string{text}.append(width > own ? width - own : 0, ' ');
}

std::string speed_up(std::chrono::nanoseconds first, std::chrono::nanoseconds time) {
  if (time.count() <= 0) return "-";
  return three_digits(static_cast<double>(first.count()) / static_cast<double>(time.count())) +
         " x";
}

}  // namespace

std::string time_text(std::chrono::nanoseconds time) {
  struct unit {
    double size;
    const char* name;
  };
  constexpr std::array<unit, 4> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};
  const auto ns = static_cast<double>(time.count());
  // 0.9995 of a unit would be printed as 1000 of the next smaller one.
  const auto fits = [&](const unit& u) { return std::abs(ns) >= u.size * 0.9995; };
  const unit& u = *std::find_if(units.begin(), units.end() - 1, fits);
  if (u.size == 1) return fmt::format("{} ns", time.count());
  return fmt::format("{}{} {}", ns < 0 ? "-" : "", three_digits(std::abs(ns) / u.size), u.name);
}

std::size_t display_width(std::string_view text) noexcept {
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

time_table::time_table(std::vector<std::string> ways) : ways_{std::move(ways)} {}

void time_table::add(std::string workload, std::vector<std::chrono::nanoseconds> times) {
  if (times.size() != ways_.size()) {
    throw std::invalid_argument("time_table: a row needs a time for each way");
  }
  rows_.push_back({std::move(workload), std::move(times)});
}

std::string time_table::text() const {
  // Per way: the widest time, the widest speed-up, and what the heading needs beyond both.
  std::size_t first_width = 0;
  std::vector<std::size_t> time_width(ways_.size());
  std::vector<std::size_t> gain_width(ways_.size());
  for (const row& r : rows_) {
    first_width = std::max(first_width, display_width(r.workload));
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      time_width[i] = std::max(time_width[i], display_width(time_text(r.times[i])));
      const std::string gain = speed_up(r.times[0], r.times[i]);
      gain_width[i] = std::max(gain_width[i], display_width(gain));
    }
  }
  std::string heading = padded_right("", first_width);
  std::size_t rule = first_width;
  for (std::size_t i = 0; i < ways_.size(); ++i) {
    const std::size_t cell = time_width[i] + (i == 0 || rows_.empty() ? 0 : 2 + gain_width[i]);
    const std::size_t width = std::max(cell, display_width(ways_[i]));
    time_width[i] += width - cell;
    heading += "   " + padded_left(ways_[i], width);
    rule += 3 + width;
  }
  std::string out = heading + '\n' + std::string(rule, '-') + '\n';
  for (const row& r : rows_) {
    out += padded_right(r.workload, first_width);
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      out += "   " + padded_left(time_text(r.times[i]), time_width[i]);
      if (i != 0) out += "  " + padded_left(speed_up(r.times[0], r.times[i]), gain_width[i]);
    }
    out += '\n';
  }
  return out;
}

}  // namespace sample

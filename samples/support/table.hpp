// SPDX-License-Identifier: MIT
#pragma once
// Times side by side, each with its speed-up over the first of its row, as plain aligned text.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace sample {

/// "1.24 s", "20.1 ms", "317 µs", "42 ns"
std::string time_text(std::chrono::nanoseconds time);

/// Columns a terminal gives `text`: its code points, which is right but for wide and combining
/// ones.
std::size_t display_width(std::string_view text) noexcept;

class time_table {
public:
  /// `ways` are the headings; the first is what the others are compared with.
  explicit time_table(std::vector<std::string> ways);

  /// A row; as many times as there are ways, else invalid_argument.
  void add(std::string workload, std::vector<std::chrono::nanoseconds> times);

  /// Lines that end with a newline each, without spaces at their ends.
  std::string text() const;

private:
  struct row {
    std::string workload;
    std::vector<std::chrono::nanoseconds> times;
  };

  std::vector<std::string> ways_;
  std::vector<row> rows_;
};

}  // namespace sample

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace weft::detail {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

/// Length of the valid UTF-8 sequence that `text` starts with, 0 when it starts with none
/// (stray or missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
  }
  const unsigned second = byte(1);
  const bool out_of_range = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
                            (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
  return out_of_range ? 0 : length;
}

/// U+FFFE and U+FFFF are code points that XML refuses.
bool is_noncharacter(std::string_view sequence) noexcept {
  return sequence == "\xEF\xBF\xBE" || sequence == "\xEF\xBF\xBF";
}

std::size_t code_points(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  }));
}

/// Position after the bracket that closes the one at `open`; npos when none does.
std::size_t after_closing(std::string_view text, std::size_t open) noexcept {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' || c == '<' || c == '[') ++depth;
    if (c == ')' || c == '>' || c == ']') --depth;
    if (depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

}  // namespace

void append_xml(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
    const auto c = static_cast<unsigned char>(sequence[0]);
    const bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
    if (length == 0 || control || is_noncharacter(sequence))
      out += replacement;
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\r')
      out += "&#13;";
    else
      out += sequence;
    text.remove_prefix(sequence.size());
  }
}

void append_json(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
    const auto c = static_cast<unsigned char>(sequence[0]);
    if (length == 0)
      out += replacement;
    else if (c == '"' || c == '\\')
      (out += '\\') += sequence;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (c < 0x20 || c == 0x7F)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    else
      out += sequence;
    text.remove_prefix(sequence.size());
  }
}

std::string duration_text(std::int64_t ns) {
  struct unit {
    double size;
    const char* name;
  };
  static constexpr std::array<unit, 4> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};
  const double value = static_cast<double>(ns);
  const double magnitude = std::abs(value);
  // 0.9995 of a unit would be printed as 1000 of the next smaller one.
  const auto fits = [&](const unit& u) { return magnitude >= u.size * 0.9995; };
  const auto found = std::find_if(units.begin(), units.end(), fits);
  const unit& u = found == units.end() ? units.back() : *found;
  const double scaled = value / u.size;
  const int integer_digits = std::abs(scaled) >= 99.95 ? 3 : std::abs(scaled) >= 9.995 ? 2 : 1;
  return fmt::format("{:.{}f} {}", scaled, u.size == 1 ? 0 : 3 - integer_digits, u.name);
}

std::string short_function_name(std::string_view pretty) {
  // The name ends at the first parenthesis that is not a scope of its own ("main()::…").
  std::size_t begin = 0;
  std::size_t i = 0;
  while (i < pretty.size() && i != std::string_view::npos) {
    const char c = pretty[i];
    if (c == ' ')
      begin = ++i;
    else if (c == '<')
      i = after_closing(pretty, i);
    else if (c == '(') {
      const std::size_t next = after_closing(pretty, i);
      if (next == std::string_view::npos) break;
      const std::string_view rest = pretty.substr(next);
      const bool is_operator = rest.starts_with('(') && pretty.substr(0, i).ends_with("operator");
      if (!rest.starts_with("::") && !is_operator) break;
      i = next;
    } else {
      ++i;
    }
  }
  if (i >= pretty.size() || i == begin) return std::string{pretty};
  const std::string_view name = pretty.substr(begin, i - begin);
  for (const std::string_view lambda : {"::<lambda", "::(anonymous class)", "::(lambda"}) {
    const std::size_t at = name.find(lambda);
    if (at != std::string_view::npos) {
      return "lambda in " + short_function_name(std::string{name.substr(0, at)} + "()");
    }
  }
  // "main()" with the parentheses that were added for a lambda's surroundings.
  return std::string{name.ends_with("()") ? name.substr(0, name.size() - 2) : name};
}

std::string shortened(std::string_view text, std::size_t limit) {
  if (code_points(text) <= limit || limit == 0) return std::string{text};
  std::size_t end = 0;
  for (std::size_t points = 0; end < text.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xC0u) != 0x80u;
    if (starts && points++ == limit - 1) break;
  }
  return std::string{text.substr(0, end)} + "…";
}

std::vector<std::string> wrapped(std::string_view text, std::size_t limit) {
  std::vector<std::string> lines;
  std::size_t width = 0;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t points = code_points(word);
    if (lines.empty() || width + 1 + points > limit) {
      lines.emplace_back(word);
      width = points;
    } else {
      (lines.back() += ' ') += word;
      width += 1 + points;
    }
  }
  return lines;
}

std::string task_colour(std::uint64_t task) {
  constexpr double pi = 3.14159265358979323846;
  const double turn =
      std::fmod(static_cast<double>(task % 1'000'003) * 0.6180339887498949 + 0.66, 1.0);
  const double a = 0.135 * std::cos(turn * 2 * pi);
  const double b = 0.135 * std::sin(turn * 2 * pi);
  const double lightness = 0.695;
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  const auto channel = [](double linear) {
    const double x = std::clamp(linear, 0.0, 1.0);
    const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
    return static_cast<unsigned>(std::lround(encoded * 255));
  };
  return fmt::format("#{:02x}{:02x}{:02x}",
                     channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                     channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                     channel(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s));
}

}  // namespace weft::detail

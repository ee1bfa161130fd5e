// SPDX-License-Identifier: MIT
#pragma once
// The path that a call takes: from a string of any kind or a std::filesystem::path, without the
// cost of <filesystem> for those who only include weft. A parameter type: calls copy it at once, so
// it may be a temporary.

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace weft {

/// A path as a parameter: const char*, std::string, std::string_view or std::filesystem::path.
class path_view {
public:
  path_view(const char* text) noexcept : text_(text) {}
  path_view(std::string_view text) noexcept : text_(text) {}
  path_view(const std::string& text) noexcept : text_(text) {}

  template <class Path>
    requires requires(const Path& p) {
      { p.native() } -> std::same_as<const std::string&>;
    }
  path_view(const Path& path) noexcept : text_(path.native()) {}

  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] std::string string() const { return std::string(text_); }

private:
  std::string_view text_;
};

static_assert(std::is_trivially_destructible_v<path_view>);

}  // namespace weft

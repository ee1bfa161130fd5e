// SPDX-License-Identifier: MIT
#pragma once
// Where a socket is or goes: an IPv4 or IPv6 address and a port, in the form that the kernel takes.
// Numbers only: names are looked up elsewhere, because that takes time.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

struct sockaddr;

namespace weft {

/// An IP address and a port.
///
/// Shape:    text is "127.0.0.1:8080", "0.0.0.0:0", "[::1]:80" or "[fe80::1%2]:80" (interface 2).
/// Errors:   system_error(invalid_argument) that quotes the text.
/// Thread:   a value.
/// Cost:     32 bytes, no allocation but for strings.
class endpoint {
public:
  /// 0.0.0.0:0
  endpoint() noexcept;
  endpoint(std::string_view text);
  endpoint(const char* text) : endpoint(std::string_view(text)) {}
  endpoint(const std::string& text) : endpoint(std::string_view(text)) {}

  /// From what the kernel gives. Errors: address_family_not_supported.
  static endpoint from_native(const sockaddr& address, std::size_t size);

  [[nodiscard]] bool is_v6() const noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  /// The address alone: "127.0.0.1" or "::1".
  [[nodiscard]] std::string address() const;
  /// The text that makes the same endpoint again.
  [[nodiscard]] std::string to_string() const;

  /// For system calls.
  [[nodiscard]] const sockaddr* native() const noexcept;
  [[nodiscard]] unsigned native_size() const noexcept { return size_; }
  [[nodiscard]] int family() const noexcept;

  /// Same family, address, port and interface.
  friend bool operator==(const endpoint&, const endpoint&) noexcept = default;

private:
  static constexpr std::size_t native_max = 28;  // sockaddr_in6

  template <class Native>
  Native as() const noexcept;
  template <class Native>
  void assign(const Native& native) noexcept;

  alignas(4) std::array<std::byte, native_max> native_{};
  std::uint32_t size_ = 0;
};

static_assert(std::is_trivially_copyable_v<endpoint>);

}  // namespace weft

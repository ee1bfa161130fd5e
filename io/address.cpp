// SPDX-License-Identifier: MIT
#include "weft/io/address.hpp"

#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace weft {

namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) noexcept {
  Number n{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return n;
}

// Addresses that inet_pton takes are short; whatever does not fit is none.
template <class Native>
bool parse_address(int family, std::string_view text, Native& out) noexcept {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return false;
  std::memcpy(terminated, text.data(), text.size());
  return inet_pton(family, terminated, &out) == 1;
}

std::optional<sockaddr_in> parse_v4(std::string_view text) noexcept {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  if (!port || !parse_address(AF_INET, text.substr(0, colon), a.sin_addr)) return std::nullopt;
  a.sin_port = htons(*port);
  return a;
}

std::optional<sockaddr_in6> parse_v6(std::string_view text) noexcept {
  const std::size_t close = text.rfind("]:");
  if (close == text.npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(close + 2));
  std::string_view address = text.substr(1, close - 1);
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  if (const std::size_t percent = address.find('%'); percent != address.npos) {
    const auto interface = parse_number<std::uint32_t>(address.substr(percent + 1));
    if (!interface) return std::nullopt;
    a.sin6_scope_id = *interface;
    address = address.substr(0, percent);
  }
  if (!port || !parse_address(AF_INET6, address, a.sin6_addr)) return std::nullopt;
  a.sin6_port = htons(*port);
  return a;
}

}  // namespace

template <class Native>
Native endpoint::as() const noexcept {
  static_assert(sizeof(Native) <= native_max);
  Native native;
  std::memcpy(&native, native_.data(), sizeof native);
  return native;
}

template <class Native>
void endpoint::assign(const Native& native) noexcept {
  std::memcpy(native_.data(), &native, sizeof native);
  size_ = sizeof native;
}

endpoint::endpoint() noexcept {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  assign(any);
}

endpoint::endpoint(std::string_view text) {
  if (text.starts_with('[')) {
    if (const auto v6 = parse_v6(text)) assign(*v6);
  } else if (const auto v4 = parse_v4(text)) {
    assign(*v4);
  }
  if (size_ != 0) return;
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "not an endpoint: \"" + std::string(text) +
                              "\" (write an address and a port: 127.0.0.1:8080 or [::1]:8080)");
}

endpoint endpoint::from_native(const sockaddr& address, std::size_t size) {
  endpoint e;
  if (address.sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in a{};
    std::memcpy(&a, &address, sizeof a);
    std::memset(a.sin_zero, 0, sizeof a.sin_zero);
    e.assign(a);
  } else if (address.sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 a{};
    std::memcpy(&a, &address, sizeof a);
    e.assign(a);
  } else {
    throw std::system_error(std::make_error_code(std::errc::address_family_not_supported),
                            "endpoint: neither IPv4 nor IPv6");
  }
  return e;
}

int endpoint::family() const noexcept { return as<sockaddr>().sa_family; }

bool endpoint::is_v6() const noexcept { return family() == AF_INET6; }

std::uint16_t endpoint::port() const noexcept {
  return ntohs(is_v6() ? as<sockaddr_in6>().sin6_port : as<sockaddr_in>().sin_port);
}

void endpoint::set_port(std::uint16_t port) noexcept {
  if (is_v6()) {
    auto a = as<sockaddr_in6>();
    a.sin6_port = htons(port);
    assign(a);
  } else {
    auto a = as<sockaddr_in>();
    a.sin_port = htons(port);
    assign(a);
  }
}

std::string endpoint::address() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (!is_v6()) {
    const auto a = as<sockaddr_in>();
    return inet_ntop(AF_INET, &a.sin_addr, text, sizeof text);
  }
  const auto a = as<sockaddr_in6>();
  std::string out = inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof text);
  if (a.sin6_scope_id != 0) out += "%" + std::to_string(a.sin6_scope_id);
  return out;
}

std::string endpoint::to_string() const {
  const std::string port_text = std::to_string(port());
  return is_v6() ? "[" + address() + "]:" + port_text : address() + ":" + port_text;
}

const sockaddr* endpoint::native() const noexcept {
  return reinterpret_cast<const sockaddr*>(native_.data());
}

}  // namespace weft

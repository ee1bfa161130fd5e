// SPDX-License-Identifier: MIT
#pragma once
// SHA-256 piece by piece (OpenSSL 3), and the line that sha256sum prints for a file.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's, so that its headers stay out of the samples

namespace sample {

/// The hash of all bytes given to update(). Move-only. Errors are runtime_error with OpenSSL's
/// reason.
class sha256 {
public:
  sha256();

  void update(std::span<const std::byte> bytes);

  /// 64 hexadecimal digits for what was given so far; more may follow.
  std::string hex() const;

private:
  struct release {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };

  std::unique_ptr<evp_md_ctx_st, release> context_;
};

/// The line, with its newline, as `sha256sum path` prints it: a path with a backslash, a newline or
/// a carriage return is escaped, and a backslash before the hash says so.
std::string sha256sum_line(std::string_view hex, std::string_view path);

}  // namespace sample

// SPDX-License-Identifier: MIT

#include "sha256.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace sample {
namespace {

[[noreturn]] void fail(const char* call) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  throw std::runtime_error(std::string{call} + ": " + reason.data());
}

}  // namespace

void sha256::release::operator()(evp_md_ctx_st* context) const noexcept {
  EVP_MD_CTX_free(context);
}

sha256::sha256() : context_{EVP_MD_CTX_new()} {
  if (!context_) fail("EVP_MD_CTX_new");
  if (EVP_DigestInit_ex2(context_.get(), EVP_sha256(), nullptr) != 1) fail("EVP_DigestInit_ex2");
}

void sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) fail("EVP_DigestUpdate");
}

std::string sha256::hex() const {
  const std::unique_ptr<evp_md_ctx_st, release> copy{EVP_MD_CTX_new()};
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context_.get()) != 1) fail("EVP_MD_CTX_copy_ex");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(copy.get(), digest.data(), &size) != 1) fail("EVP_DigestFinal_ex");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 15];
  }
  return out;
}

std::string sha256sum_line(std::string_view hex, std::string_view path) {
  const bool escaped = path.find_first_of("\\\n\r") != path.npos;
  std::string line = escaped ? "\\" : "";
  (line += hex) += "  ";
  for (const char c : path) {
    switch (c) {
    case '\\':
      line += "\\\\";
      break;
    case '\n':
      line += "\\n";
      break;
    case '\r':
      line += "\\r";
      break;
    default:
      line += c;
    }
  }
  return line += '\n';
}

}  // namespace sample

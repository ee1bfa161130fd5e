// SPDX-License-Identifier: MIT
#include "weft/io/buffer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace buffer_test {

using weft::const_buffer;
using weft::mutable_buffer;

namespace {

std::size_t writable(mutable_buffer b) { return b.size(); }
std::size_t readable(const_buffer b) { return b.size(); }
std::string text_of(const_buffer b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

static_assert(!std::is_constructible_v<mutable_buffer, const std::string&>);
static_assert(!std::is_constructible_v<mutable_buffer, std::string_view>);
static_assert(!std::is_constructible_v<mutable_buffer, std::span<const std::byte>>);
static_assert(!std::is_constructible_v<mutable_buffer, const char (&)[4]>);
static_assert(!std::is_constructible_v<mutable_buffer, std::vector<int>&>);
static_assert(!std::is_constructible_v<const_buffer, std::vector<int>&>);
static_assert(!std::is_constructible_v<const_buffer, const char*>);

}  // namespace

TEST_SUITE("io/buffer") {
  TEST_CASE("every kind of contiguous bytes can be read into") {
    char array[7];
    std::byte bytes[8];
    std::array<char, 9> chars{};
    std::array<std::byte, 10> std_bytes{};
    std::string string(11, 'x');
    std::vector<unsigned char> vector(12);
    std::span<std::byte> span(bytes);
    CHECK(writable(array) == 7);
    CHECK(writable(bytes) == 8);
    CHECK(writable(chars) == 9);
    CHECK(writable(std_bytes) == 10);
    CHECK(writable(string) == 11);
    CHECK(writable(vector) == 12);
    CHECK(writable(span.first(3)) == 3);
    CHECK(writable({array, 2}) == 2);
    CHECK(mutable_buffer(array).data() == reinterpret_cast<std::byte*>(array));
  }

  TEST_CASE("every kind of contiguous bytes can be written") {
    char array[7] = {};
    const std::byte bytes[8] = {};
    const std::string string = "string";
    CHECK(readable(array) == 7);
    CHECK(readable(bytes) == 8);
    CHECK(readable({array, 3}) == 3);
    CHECK(readable(std::span(array).first(4)) == 4);
    CHECK(readable(std::as_bytes(std::span(array))) == 7);
    CHECK(text_of(string) == "string");
    CHECK(text_of(std::string_view("view")) == "view");
    CHECK(text_of(std::string("temporary")) == "temporary");
  }

  TEST_CASE("a literal is sent without the zero at its end") {
    CHECK(text_of("PING\r\n") == "PING\r\n");
    CHECK(text_of("") == "");
    CHECK(text_of("a\0b") == std::string("a\0b", 3));
  }
}

}  // namespace buffer_test

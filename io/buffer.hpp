// SPDX-License-Identifier: MIT
#pragma once
// What reads fill and writes send: a pointer and a length, made from whatever contiguous bytes the
// user has. Parameter types; they own nothing, and what they point at outlives the co_await.
// They know nothing of descriptors.

#include <concepts>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class T>
concept byte_like =
    std::same_as<std::remove_cv_t<T>, std::byte> || std::same_as<std::remove_cv_t<T>, char> ||
    std::same_as<std::remove_cv_t<T>, unsigned char> ||
    std::same_as<std::remove_cv_t<T>, signed char> || std::same_as<std::remove_cv_t<T>, char8_t>;

template <class R>
using data_of_t = std::remove_pointer_t<decltype(std::data(std::declval<R&>()))>;

template <class R>
concept byte_range = !std::is_array_v<std::remove_cvref_t<R>> && requires(R& r) {
  std::data(r);
  std::size(r);
} && byte_like<data_of_t<R>>;

}  // namespace detail

/// Writable bytes: char buf[4096], std::array, std::vector, std::string or std::span of char,
/// unsigned char or std::byte; or {pointer, count}.
///
/// Lifetime: refers; what it points at outlives the co_await.
class mutable_buffer {
public:
  template <detail::byte_like Byte>
    requires(!std::is_const_v<Byte>)
  constexpr mutable_buffer(Byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <detail::byte_like Byte, std::size_t Size>
    requires(!std::is_const_v<Byte>)
  constexpr mutable_buffer(Byte (&array)[Size]) noexcept : data_(array), size_(Size) {}

  template <class Range>
    requires(detail::byte_range<Range> && !std::is_const_v<detail::data_of_t<Range>>)
  constexpr mutable_buffer(Range&& range) noexcept
      : data_(std::data(range)), size_(std::size(range)) {}

  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(data_); }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  /// What is behind the first `offset` bytes. Shape: offset <= size().
  [[nodiscard]] mutable_buffer from(std::size_t offset) const noexcept {
    return {data() + offset, size_ - offset};
  }

private:
  void* data_;
  std::size_t size_;
};

/// Bytes to be sent or written: whatever makes a mutable_buffer, the same as const,
/// std::string_view, and string literals. Any const array of char that ends in a zero is taken for
/// a literal, and the zero left out: give binary data as {pointer, count} or std::array.
///
/// Lifetime: refers; what it points at outlives the co_await.
class const_buffer {
public:
  template <detail::byte_like Byte>
  constexpr const_buffer(Byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <detail::byte_like Byte, std::size_t Size>
  constexpr const_buffer(Byte (&array)[Size]) noexcept
      : data_(array), size_(is_literal(array) ? Size - 1 : Size) {}

  template <class Range>
    requires detail::byte_range<Range>
  constexpr const_buffer(Range&& range) noexcept
      : data_(std::data(range)), size_(std::size(range)) {}

  [[nodiscard]] const std::byte* data() const noexcept {
    return static_cast<const std::byte*>(data_);
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  /// What is behind the first `offset` bytes. Shape: offset <= size().
  [[nodiscard]] const_buffer from(std::size_t offset) const noexcept {
    return {data() + offset, size_ - offset};
  }

private:
  template <class Byte, std::size_t Size>
  static constexpr bool is_literal(Byte (&array)[Size]) noexcept {
    if constexpr (std::same_as<Byte, const char>)
      return array[Size - 1] == '\0';
    else
      return false;
  }

  const void* data_;
  std::size_t size_;
};

// Options and parameters of awaitables are trivially destructible: g++ 12 destroys others twice.
static_assert(std::is_trivially_destructible_v<mutable_buffer> &&
              std::is_trivially_destructible_v<const_buffer>);

}  // namespace weft

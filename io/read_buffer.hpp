// SPDX-License-Identifier: MIT
#pragma once
// Bytes that have arrived and that nobody has taken yet, in one piece of memory, and the search for
// where a record ends. It knows neither streams nor tasks: buffered_reader.hpp fills it.

#include "weft/io/buffer.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace weft::detail {

class read_buffer {
public:
  static constexpr std::size_t npos = std::string_view::npos;

  /// `piece`: what is asked of the stream at a time, at least.
  explicit read_buffer(std::size_t piece) noexcept : piece_(piece) {}

  std::string_view bytes() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const noexcept { return begin_ == end_; }

  /// Where `delimiter` begins; npos when it has not arrived. `searched` bytes hold none, and it is
  /// updated: so a peer that sends byte by byte costs no second look.
  ///
  /// Errors:   message_size, naming `call`, when more than `size_max` bytes come before it.
  std::size_t find(std::string_view delimiter, std::size_t& searched, std::size_t size_max,
                   const char* call) const;

  /// Room for more, at least one byte. Memory stays below twice what is held, or `piece`.
  mutable_buffer room();
  void add(std::size_t count) noexcept { end_ += count; }

  /// Takes `count` bytes and gives the first `kept` of them.
  std::string take(std::size_t kept, std::size_t count);
  /// Takes a line whose end is at `at`, and gives it without that.
  std::string take_line(std::size_t at);
  /// Moves to `to` what there is and fits.
  std::size_t take_into(mutable_buffer to) noexcept;

private:
  void drop(std::size_t count) noexcept;

  std::size_t piece_;
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace weft::detail

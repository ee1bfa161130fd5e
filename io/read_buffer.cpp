// SPDX-License-Identifier: MIT
#include "weft/io/read_buffer.hpp"

#include "weft/runtime/error.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace weft::detail {

std::size_t read_buffer::find(std::string_view delimiter, std::size_t& searched,
                              std::size_t size_max, const char* call) const {
  if (delimiter.empty()) throw_error(std::make_error_code(std::errc::invalid_argument), call);
  const std::size_t at = bytes().find(delimiter, searched);
  if (at == npos && bytes().size() >= delimiter.size())
    searched = bytes().size() - delimiter.size() + 1;
  const std::size_t before = at != npos ? at : searched;
  if (before > size_max) throw_error(std::make_error_code(std::errc::message_size), call);
  return at;
}

mutable_buffer read_buffer::room() {
  if (end_ == capacity_) {
    const std::size_t held = end_ - begin_;
    if (held >= capacity_ / 2) {
      const std::size_t larger = std::max(piece_, 2 * capacity_);
      auto data = std::make_unique_for_overwrite<char[]>(larger);
      if (held != 0) std::memcpy(data.get(), data_.get() + begin_, held);
      data_ = std::move(data);
      capacity_ = larger;
    } else {
      std::memmove(data_.get(), data_.get() + begin_, held);
    }
    begin_ = 0;
    end_ = held;
  }
  return {data_.get() + end_, capacity_ - end_};
}

std::string read_buffer::take(std::size_t kept, std::size_t count) {
  std::string taken(bytes().substr(0, kept));
  drop(count);
  return taken;
}

std::string read_buffer::take_line(std::size_t at) {
  const bool carriage_return = at != 0 && bytes()[at - 1] == '\r';
  return take(carriage_return ? at - 1 : at, at + 1);
}

std::size_t read_buffer::take_into(mutable_buffer to) noexcept {
  const std::size_t count = std::min(to.size(), bytes().size());
  if (count != 0) std::memcpy(to.data(), bytes().data(), count);
  drop(count);
  return count;
}

void read_buffer::drop(std::size_t count) noexcept {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

}  // namespace weft::detail

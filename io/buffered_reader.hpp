// SPDX-License-Identifier: MIT
#pragma once
// Records out of a stream: lines, or whatever ends in a delimiter. A read brings more than one
// record; what came behind it stays in the reader, which is therefore the only one to read from its
// stream. Every call has a bound: a peer that never ends its record costs no more memory than that.

#include "weft/io/buffer.hpp"
#include "weft/io/descriptor_operation.hpp"
#include "weft/io/read_buffer.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/error.hpp"
#include "weft/runtime/task.hpp"

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace weft {

namespace detail {

/// What a stream is read by, in the shape that lines_of asks for.
template <class Stream>
struct stream_source {
  static constexpr std::size_t piece = 8 * 1024;

  Stream* stream;

  auto read(mutable_buffer b) const { return stream->read(b); }
  void advance(std::size_t) const noexcept {}
};

/// `kept`: where bytes behind a line stay; null: in the generator.
template <class Source>
async_generator<std::string> lines_of(Source source, read_buffer* kept, std::size_t size_max) {
  read_buffer own(Source::piece);
  read_buffer& buffer = kept != nullptr ? *kept : own;
  std::size_t searched = 0;
  for (;;) {
    const std::size_t at = buffer.find("\n", searched, size_max, "lines");
    if (at != read_buffer::npos) {
      searched = 0;
      std::string line = buffer.take_line(at);
      co_yield std::move(line);
      continue;
    }
    auto step = source.read(buffer.room());
    const std::size_t count = co_await std::move(step);
    source.advance(count);
    buffer.add(count);
    if (count == 0) break;
  }
  if (buffer.empty()) co_return;
  const std::size_t size = buffer.bytes().size();
  std::string last = buffer.take(size, size);
  co_yield std::move(last);
}

}  // namespace detail

/// Reads records from a stream that it refers to: `buffered_reader reader(stream);`
///
/// Shape:    Stream has read(mutable_buffer), which gives 0 at its end: tcp_stream.
/// Thread:   as the stream; one call at a time.
/// Lifetime: the stream outlives it. What it has buffered goes with it: buffered() tells.
/// Cost:     no memory before the first read, then 8 KiB, or up to twice the longest record.
template <class Stream>
class buffered_reader {
public:
  explicit buffered_reader(Stream& stream) noexcept : stream_(&stream) {}

  /// What has arrived and was not taken; the next calls give this first.
  [[nodiscard]] std::string_view buffered() const noexcept { return buffer_.bytes(); }

  /// Everything up to `delimiter`, and with it.
  ///
  /// Shape:    a delimiter of one byte or more; at most `size_max` bytes before it.
  /// Returns:  nullopt when the stream has ended and nothing is left.
  /// Errors:   message_size for a longer record; io_error(no_message_available) when the stream
  ///           ends before the delimiter; those of the stream's read(); cancelled. None of them
  ///           takes anything: what has arrived stays buffered.
  /// Lifetime: reader and delimiter outlive the co_await.
  /// Cost:     one frame; one read for each piece that arrives.
  task<std::optional<std::string>> read_until(std::string_view delimiter, std::size_t size_max) {
    constexpr const char* call = "buffered_reader::read_until";
    std::size_t searched = 0;
    for (;;) {
      const std::size_t at = buffer_.find(delimiter, searched, size_max, call);
      if (at != detail::read_buffer::npos) {
        const std::size_t size = at + delimiter.size();
        co_return buffer_.take(size, size);
      }
      auto step = stream_->read(buffer_.room());
      const std::size_t count = co_await std::move(step);
      buffer_.add(count);
      if (count == 0) break;
    }
    if (buffer_.empty()) co_return std::nullopt;
    throw io_error(std::make_error_code(std::errc::no_message_available), buffer_.bytes().size(),
                   "buffered_reader::read_until: the stream ended");
  }

  /// The lines to the end of the stream, without their ends ("\n" or "\r\n"); the last one may lack
  /// it. Bytes behind a line stay in the reader: it may go on with another call.
  ///
  /// Errors:   message_size for a line of more than `size_max` bytes before its "\n"; those of the
  ///           stream's read().
  /// Lifetime: the reader outlives the generator, and stays where it is.
  /// Cost:     one frame; one read for each piece that arrives, one string for each line.
  async_generator<std::string> lines(std::size_t size_max = 64 * 1024) {
    return detail::lines_of(detail::stream_source<Stream>{stream_}, &buffer_, size_max);
  }

  /// Some bytes: what is buffered, else those of the stream's read().
  task<std::size_t> read(mutable_buffer buffer) {
    std::size_t count = buffer_.take_into(buffer);
    if (count == 0) {
      auto step = stream_->read(buffer);
      count = co_await std::move(step);
    }
    co_return count;
  }

  /// Fills the whole buffer.
  ///
  /// Errors:   io_error with transferred(): no_message_available when the stream ended before, else
  ///           those of read(); cancelled with transferred().
  task<> read_exact(mutable_buffer buffer) {
    constexpr const char* call = "buffered_reader::read_exact";
    std::size_t done = buffer_.take_into(buffer);
    while (done < buffer.size()) {
      auto step = as_result(stream_->read(buffer.from(done)));
      const result<std::size_t> count = co_await std::move(step);
      if (!count) detail::throw_partial(count.error(), done, call);
      if (*count == 0)
        throw io_error(std::make_error_code(std::errc::no_message_available), done,
                       "buffered_reader::read_exact: the stream ended");
      done += *count;
    }
  }

private:
  Stream* stream_;
  detail::read_buffer buffer_{detail::stream_source<Stream>::piece};
};

}  // namespace weft

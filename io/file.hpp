// SPDX-License-Identifier: MIT
#pragma once
// A file on disk, read and written at positions: it has no current position, so any number of tasks
// may use it at once. `read_at` and `write_at` move what they can, the other calls everything.

#include "weft/io/buffer.hpp"
#include "weft/io/descriptor_operation.hpp"
#include "weft/io/path_view.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/task.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace weft {

/// How a file is opened; combined with `|`.
enum class open_mode : unsigned {
  read = 1,
  write = 2,
  create = 4,     // makes it when there is none
  exclusive = 8,  // with create: fails when there is one
  truncate = 16,  // empties it
  append = 32,    // each write goes to the end, wherever it says
};

/// All flags of both.
constexpr open_mode operator|(open_mode a, open_mode b) noexcept {
  return static_cast<open_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
/// Whether one of the flags of `flag` is in `set`.
constexpr bool has(open_mode set, open_mode flag) noexcept {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(flag)) != 0;
}

namespace detail {

class read_at_operation : public descriptor_operation<read_at_operation, std::size_t> {
public:
  static constexpr const char* name = "file::read_at";

  /// `if_empty`: what comes of an empty buffer, 0 or -errno.
  read_at_operation(descriptor& d, std::uint64_t offset, mutable_buffer b, int if_empty) noexcept;

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<std::size_t> success(int n) noexcept { return static_cast<std::size_t>(n); }

private:
  std::uint64_t offset_;
  std::byte* data_;
  unsigned size_;
};

class write_at_operation : public descriptor_operation<write_at_operation, std::size_t> {
public:
  static constexpr const char* name = "file::write_at";

  write_at_operation(descriptor& d, std::uint64_t offset, const_buffer b) noexcept;

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<std::size_t> success(int n) noexcept { return static_cast<std::size_t>(n); }

private:
  std::uint64_t offset_;
  const std::byte* data_;
  unsigned size_;
};

class sync_operation : public descriptor_operation<sync_operation, void> {
public:
  static constexpr const char* name = "file::sync";

  sync_operation(descriptor& d, bool data_only) noexcept
      : descriptor_operation(d, descriptor_use::shared), data_only_(data_only) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<void> success(int) noexcept { return {}; }

private:
  bool data_only_;
};

}  // namespace detail

/// A file, owned: closed when it is destroyed.
///
/// Thread:   any worker; any number of operations may overlap.
/// Lifetime: stays where it is while an operation on it is in flight.
/// Errors:   on a closed or moved-from file every call gives bad_file_descriptor. An operation on a
///           disk that runs cannot be cancelled: it is awaited, and its result delivered.
class file {
public:
  /// Closed; to be assigned to.
  file() noexcept = default;

  /// Opens the file at `path`, relative to the working directory.
  ///
  /// Shape:    mode contains read or write; `permissions` are those of a file that is made, less
  ///           the process's umask.
  /// Errors:   system_error that names the path: ENOENT, EACCES, EEXIST, EISDIR, EMFILE;
  ///           invalid_argument for a mode without read and write, or a path with a zero in it;
  ///           cancelled, and nothing was opened or made.
  /// Cost:     one frame, a copy of the path, one SQE.
  /// Source:   IORING_OP_OPENAT (Linux 5.6), openat(2) with O_CLOEXEC.
  static task<file> open(path_view path, open_mode mode = open_mode::read,
                         unsigned permissions = 0666);

  /// Reads some bytes from `offset` on.
  ///
  /// Shape:    at least one byte of buffer (0 would look like the end: invalid_argument).
  /// Returns:  bytes read, possibly fewer than asked for; 0 at or behind the end.
  /// Errors:   EIO, EISDIR, EBADF when it is not open for reading; EINVAL for an offset over
  ///           2^63-1.
  /// Lifetime: file and buffer outlive the co_await.
  /// Cost:     one SQE, no allocation, no system call of its own.
  /// Source:   IORING_OP_READ (Linux 5.6), pread(2).
  [[nodiscard]] detail::read_at_operation read_at(std::uint64_t offset,
                                                  mutable_buffer buffer) noexcept {
    return {file_, offset, buffer, -EINVAL};
  }

  /// Fills the whole buffer.
  ///
  /// Errors:   io_error with transferred(): no_message_available when the file ends before, else
  ///           those of read_at(); cancelled with transferred().
  task<> read_exact_at(std::uint64_t offset, mutable_buffer buffer);

  /// Everything from the beginning to the end, also of files that do not know their size (/proc).
  ///
  /// Errors:   file_too_large when there is more than `size_max`; those of read_at().
  /// Cost:     one frame; memory for the contents, once when the size is known.
  task<std::string> read_all(std::size_t size_max = std::numeric_limits<std::size_t>::max());

  /// The lines from `offset` to the end, without their ends ("\n" or "\r\n"); the last one may lack
  /// it.
  ///
  /// Errors:   message_size for a line of more than `size_max` bytes before its "\n"; those of
  ///           read_at().
  /// Lifetime: the file outlives the generator, and stays where it is.
  /// Cost:     one frame, 64 KiB or up to twice the longest line; one SQE for each piece, one
  ///           string for each line.
  async_generator<std::string> lines(std::size_t size_max = 64 * 1024, std::uint64_t offset = 0);

  /// Writes some of `data` at `offset`.
  ///
  /// Returns:  bytes written, possibly fewer than given; 0 only for no data.
  /// Errors:   ENOSPC, EDQUOT, EFBIG, EIO, EBADF when it is not open for writing; EINVAL for an
  ///           offset over 2^63-1.
  /// Lifetime: file and data outlive the co_await.
  /// Cost:     one SQE, no allocation, no system call of its own.
  /// Source:   IORING_OP_WRITE (Linux 5.6), pwrite(2).
  [[nodiscard]] detail::write_at_operation write_at(std::uint64_t offset,
                                                    const_buffer data) noexcept {
    return {file_, offset, data};
  }

  /// Writes everything.
  ///
  /// Errors:   io_error with transferred(), cancelled with transferred(): how much was written
  ///           before.
  task<> write_all_at(std::uint64_t offset, const_buffer data);

  /// Bytes in the file. Errors: system_error. Source: IORING_OP_STATX (Linux 5.6).
  task<std::uint64_t> size();

  /// Waits until data and metadata are on the disk. Source: IORING_OP_FSYNC, fsync(2).
  [[nodiscard]] detail::sync_operation sync() noexcept { return {file_, false}; }

  /// Waits until the data, and what is needed to find it, is on the disk. Source: fdatasync(2).
  [[nodiscard]] detail::sync_operation data_sync() noexcept { return {file_, true}; }

  /// Closes, after operations of other tasks have ended. A stop neither refuses nor interrupts it.
  /// Again: nothing happens.
  ///
  /// Errors:   what the file system reports only now (EIO, ENOSPC, EDQUOT over a network); it is
  ///           closed nevertheless.
  task<> close() { return file_.close(detail::descriptor::kind::file); }

  [[nodiscard]] bool is_open() const noexcept { return file_.is_open(); }

private:
  explicit file(detail::descriptor f) noexcept : file_(std::move(f)) {}

  static task<file> open_copied(std::string path, open_mode mode, unsigned permissions);

  detail::descriptor file_;
};

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// What lies at a path, and the calls that change names: std::filesystem's words, as submissions to
// the ring. Paths are relative to the working directory. Errors name the path.

#include "weft/io/path_view.hpp"
#include "weft/runtime/task.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::fs {

/// What kind of file a name stands for; the kinds are those of std::filesystem::file_type.
enum class file_type : std::uint8_t {
  none,
  not_found,
  regular,
  directory,
  symlink,
  block,
  character,
  fifo,
  socket,
  unknown,
};

/// When something happened to a file, by the system's clock.
using file_time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// What stat(2) tells. Everything but `type` is zero when there is no file.
struct file_status {
  file_type type = file_type::none;
  unsigned permissions = 0;  // the lowest twelve bits of st_mode
  std::uint64_t size = 0;
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  std::uint64_t links = 0;
  unsigned owner = 0;
  unsigned group = 0;
  file_time modified{};  // clamped to what file_time holds: the years 1678 to 2261
};

/// What lies at `path`, at the end of symbolic links.
///
/// Returns:  type not_found when nothing is there; that is no error.
/// Errors:   system_error: EACCES, ELOOP, ENAMETOOLONG; invalid_argument for a path with a zero in
///           it; cancelled.
/// Cost:     one frame, a copy of the path, one SQE.
/// Source:   IORING_OP_STATX (Linux 5.6), statx(2).
task<file_status> status(path_view path);

/// The same for a symbolic link itself.
task<file_status> symlink_status(path_view path);

/// Whether something lies at `path`, at the end of symbolic links.
task<bool> exists(path_view path);

/// Removes a file, a symbolic link or an empty directory.
///
/// Returns:  false when there was nothing.
/// Errors:   system_error: EACCES, EPERM, ENOTEMPTY, EBUSY; cancelled, and nothing was removed.
/// Source:   IORING_OP_UNLINKAT (Linux 5.11), unlinkat(2).
task<bool> remove(path_view path);

/// Gives `from` the name `to`, replacing what was there.
///
/// Errors:   system_error: ENOENT, EXDEV, EISDIR, ENOTEMPTY; cancelled, and nothing was renamed.
/// Source:   IORING_OP_RENAMEAT (Linux 5.11), renameat(2).
task<> rename(path_view from, path_view to);

/// Makes a directory.
///
/// Returns:  false when it was there already.
/// Errors:   system_error: ENOENT, EACCES, EEXIST when another kind of file has the name;
///           cancelled, and nothing was made.
/// Source:   IORING_OP_MKDIRAT (Linux 5.15), mkdirat(2).
task<bool> create_directory(path_view path, unsigned permissions = 0777);

}  // namespace weft::fs

// SPDX-License-Identifier: MIT
#include "weft/io/fs_status.hpp"

#include "weft/io/path_operations.hpp"

#include <chrono>
#include <cstdint>

#include <sys/sysmacros.h>

namespace weft::fs {

namespace {

using weft::detail::check_path;
using weft::detail::path_operation;
using weft::detail::stat_path;
using weft::detail::throw_path_error;

file_type type_of_mode(unsigned mode) noexcept {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return file_type::regular;
  case S_IFDIR:
    return file_type::directory;
  case S_IFLNK:
    return file_type::symlink;
  case S_IFBLK:
    return file_type::block;
  case S_IFCHR:
    return file_type::character;
  case S_IFIFO:
    return file_type::fifo;
  case S_IFSOCK:
    return file_type::socket;
  default:
    return file_type::unknown;
  }
}

/// File systems know times that 64 bits of nanoseconds do not hold.
file_time time_from(const struct ::statx_timestamp& t) noexcept {
  using std::chrono::nanoseconds;
  constexpr std::int64_t second = 1'000'000'000;
  if (t.tv_sec >= nanoseconds::max().count() / second) return file_time::max();
  if (t.tv_sec <= nanoseconds::min().count() / second) return file_time::min();
  return file_time(nanoseconds(t.tv_sec * second + t.tv_nsec));
}

file_status status_from(const struct ::statx& s) noexcept {
  return {
      .type = type_of_mode(s.stx_mode),
      .permissions = s.stx_mode & 07777u,
      .size = s.stx_size,
      .inode = s.stx_ino,
      .device = makedev(s.stx_dev_major, s.stx_dev_minor),
      .links = s.stx_nlink,
      .owner = s.stx_uid,
      .group = s.stx_gid,
      .modified = time_from(s.stx_mtime),
  };
}

bool is_missing(std::error_code code) noexcept {
  return code.category() == std::system_category() &&
         (code.value() == ENOENT || code.value() == ENOTDIR);
}

bool is_errno(std::error_code code, int number) noexcept {
  return code == std::error_code(number, std::system_category());
}

task<file_status> status_with(std::string path, int flags, const char* call) {
  check_path(path, call);
  struct ::statx found{};
  auto step = stat_path(AT_FDCWD, path.c_str(), flags, &found);
  const result<int> done = co_await step;
  if (done) co_return status_from(found);
  if (!is_missing(done.error())) throw_path_error(done.error(), call, path);
  co_return file_status{.type = file_type::not_found};
}

task<bool> exists_copied(std::string path) {
  task<file_status> asking = status_with(std::move(path), 0, "fs::exists");
  const file_status found = co_await std::move(asking);
  co_return found.type != file_type::not_found;
}

task<bool> remove_copied(std::string path) {
  check_path(path, "fs::remove");
  for (const int flags : {0, AT_REMOVEDIR}) {
    path_operation step([&path, flags](io_uring_sqe& sqe) noexcept {
      io_uring_prep_unlinkat(&sqe, AT_FDCWD, path.c_str(), flags);
    });
    const result<int> done = co_await step;
    if (done) co_return true;
    if (is_missing(done.error())) co_return false;
    const bool directory = flags == 0 && is_errno(done.error(), EISDIR);
    if (!directory) throw_path_error(done.error(), "fs::remove", path);
  }
  co_return false;
}

task<> rename_copied(std::string from, std::string to) {
  check_path(from, "fs::rename");
  check_path(to, "fs::rename");
  path_operation step([&from, &to](io_uring_sqe& sqe) noexcept {
    io_uring_prep_renameat(&sqe, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0);
  });
  const result<int> done = co_await step;
  if (!done) throw_path_error(done.error(), "fs::rename", from + "\" to \"" + to);
}

task<bool> create_directory_copied(std::string path, unsigned permissions) {
  check_path(path, "fs::create_directory");
  path_operation step([&path, permissions](io_uring_sqe& sqe) noexcept {
    io_uring_prep_mkdirat(&sqe, AT_FDCWD, path.c_str(), permissions);
  });
  const result<int> made = co_await step;
  if (made) co_return true;
  if (!is_errno(made.error(), EEXIST)) throw_path_error(made.error(), "fs::create_directory", path);
  task<file_status> asking = status_with(path, 0, "fs::create_directory");
  const file_status found = co_await std::move(asking);
  if (found.type != file_type::directory)
    throw_path_error(made.error(), "fs::create_directory", path);
  co_return false;
}

}  // namespace

task<file_status> status(path_view path) { return status_with(path.string(), 0, "fs::status"); }

task<file_status> symlink_status(path_view path) {
  return status_with(path.string(), AT_SYMLINK_NOFOLLOW, "fs::symlink_status");
}

task<bool> exists(path_view path) { return exists_copied(path.string()); }

task<bool> remove(path_view path) { return remove_copied(path.string()); }

task<> rename(path_view from, path_view to) { return rename_copied(from.string(), to.string()); }

task<bool> create_directory(path_view path, unsigned permissions) {
  return create_directory_copied(path.string(), permissions);
}

}  // namespace weft::fs

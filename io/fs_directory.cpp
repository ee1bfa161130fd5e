// SPDX-License-Identifier: MIT
#include "weft/io/fs_directory.hpp"

#include "weft/io/blocking.hpp"
#include "weft/io/path_operations.hpp"
#include "weft/runtime/as_result.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include <dirent.h>

namespace weft::fs {

namespace {

using weft::detail::descriptor;

file_type type_of_entry(unsigned char d_type) noexcept {
  switch (d_type) {
  case DT_REG:
    return file_type::regular;
  case DT_DIR:
    return file_type::directory;
  case DT_LNK:
    return file_type::symlink;
  case DT_BLK:
    return file_type::block;
  case DT_CHR:
    return file_type::character;
  case DT_FIFO:
    return file_type::fifo;
  case DT_SOCK:
    return file_type::socket;
  default:
    return file_type::unknown;
  }
}

// Offsets in a record of getdents64(2): inode and position of 8 bytes each, then these.
constexpr std::size_t length_at = 16;
constexpr std::size_t type_at = 18;
constexpr std::size_t name_at = 19;

/// One visit to the helper: up to `rounds_max` buffers of records, so that a cancel is heard in
/// between.
struct directory_reader {
  static constexpr int rounds_max = 8;

  kernel* from;
  int fd;
  const std::string* prefix;
  std::vector<directory_entry>* out;

  // 1: there may be more; 0: the end; or -errno.
  int operator()() const {
    alignas(8) std::array<char, 32 * 1024> records;
    for (int i = 0; i < rounds_max; ++i) {
      const std::ptrdiff_t bytes = from->read_directory(fd, records.data(), records.size());
      if (bytes <= 0) return static_cast<int>(bytes);
      append(std::string_view(records.data(), static_cast<std::size_t>(bytes)));
    }
    return 1;
  }

  void append(std::string_view records) const {
    while (records.size() > name_at) {
      std::uint16_t length = 0;
      std::memcpy(&length, records.data() + length_at, sizeof length);
      if (length <= name_at || length > records.size()) return;
      const std::string_view tail = records.substr(name_at, length - name_at);
      const std::string_view name = tail.substr(0, tail.find('\0'));
      if (name != "." && name != "..") {
        std::string path;
        path.reserve(prefix->size() + name.size());
        path.append(*prefix).append(name);
        const auto d_type = static_cast<unsigned char>(records[type_at]);
        out->push_back({std::move(path), type_of_entry(d_type)});
      }
      records.remove_prefix(length);
    }
  }
};

// Some file systems leave it to us to find out what an entry is. One that refuses stays unknown.
task<std::error_code> resolve_type(directory_entry& entry) {
  auto asking = as_result(symlink_status(entry.path));
  const result<file_status> found = co_await asking;
  if (!found) co_return found.error();
  if (found->type != file_type::not_found) entry.type = found->type;
  co_return std::error_code();
}

std::string with_slash(std::string path) {
  if (!path.ends_with('/')) path += '/';
  return path;
}

task<result<descriptor>> open_directory(const std::string& path) {
  if (weft::detail::has_zero(path))
    co_return failure{std::make_error_code(std::errc::invalid_argument)};
  auto step = weft::detail::open_path(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0);
  const result<int> fd = co_await step;
  if (!fd) co_return failure{fd.error()};
  co_return descriptor(current_kernel(), *fd);
}

/// A directory below `root`. What was replaced by a link since we saw it does not lead us out of
/// the tree.
task<result<descriptor>> open_beneath(int root, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  weft::detail::path_operation step([root, path, &how](io_uring_sqe& sqe) noexcept {
    io_uring_prep_openat2(&sqe, root, path, &how);
  });
  const result<int> fd = co_await step;
  if (!fd) co_return failure{fd.error()};
  co_return descriptor(current_kernel(), *fd);
}

/// The outcome as a value: what is wrong with one directory is no reason to end a walk.
task<std::error_code> read_entries(descriptor& directory, std::string prefix,
                                   std::vector<directory_entry>& out) {
  const directory_reader reader{&directory.kernel_used(), directory.fd(), &prefix, &out};
  int more = 1;
  while (more > 0) {
    auto reading = as_result(blocking(reader));
    const result<int> read = co_await reading;
    if (!read) co_return read.error();
    more = *read;
  }
  if (more < 0) co_return std::error_code(-more, std::system_category());
  for (directory_entry& entry : out) {
    if (entry.type != file_type::unknown) continue;
    task<std::error_code> resolving = resolve_type(entry);
    const std::error_code error = co_await std::move(resolving);
    if (error == cancelled_code()) co_return error;
  }
  co_return std::error_code();
}

task<std::vector<directory_entry>> directory_entries_copied(std::string path) {
  std::vector<directory_entry> entries;
  task<result<descriptor>> opening = open_directory(path);
  result<descriptor> directory = co_await std::move(opening);
  std::error_code error = directory.error();
  if (directory) {
    task<std::error_code> reading = read_entries(*directory, with_slash(path), entries);
    error = co_await std::move(reading);
  }
  if (error) weft::detail::throw_path_error(error, "fs::directory_entries", path);
  co_return entries;
}

}  // namespace

task<std::vector<directory_entry>> directory_entries(path_view path) {
  return directory_entries_copied(path.string());
}

namespace detail {

walker::walker(std::string root, walk_options options)
    : options_(options), prefix_(with_slash(root).size()) {
  pending_.push_back(std::move(root));
}

task<std::error_code> walker::read(const std::string& path, std::vector<directory_entry>& entries) {
  entries.clear();
  if (!root_.is_open()) {
    task<result<descriptor>> opening = open_directory(path);
    result<descriptor> root = co_await std::move(opening);
    if (!root) co_return root.error();
    root_ = *std::move(root);
    task<std::error_code> reading = read_entries(root_, with_slash(path), entries);
    co_return co_await std::move(reading);
  }
  task<result<descriptor>> opening = open_beneath(root_.fd(), path.c_str() + prefix_);
  result<descriptor> directory = co_await std::move(opening);
  if (!directory) co_return directory.error();
  task<std::error_code> reading = read_entries(*directory, with_slash(path), entries);
  co_return co_await std::move(reading);
}

task<bool> walker::next(std::vector<directory_entry>& entries) {
  while (!pending_.empty()) {
    std::string path = std::move(pending_.back());
    pending_.pop_back();
    task<std::error_code> reading = read(path, entries);
    const std::error_code error = co_await std::move(reading);
    if (error) {
      if (error == cancelled_code() || !options_.on_error)
        weft::detail::throw_path_error(error, "fs::walk", path);
      options_.on_error(path, error);
      continue;
    }
    const auto first_new = static_cast<std::ptrdiff_t>(pending_.size());
    for (const directory_entry& entry : entries)
      if (entry.type == file_type::directory) pending_.push_back(entry.path);
    std::reverse(pending_.begin() + first_new, pending_.end());
    co_return true;
  }
  co_return false;
}

}  // namespace detail

}  // namespace weft::fs

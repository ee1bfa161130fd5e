// SPDX-License-Identifier: MIT
#include "weft/io/fs_directory.hpp"

#include "weft/io/blocking.hpp"
#include "weft/io/path_operations.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include <dirent.h>

namespace weft::fs {

namespace {

file_type type_of(unsigned char d_type) noexcept {
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
        out->push_back({std::move(path), type_of(d_type)});
      }
      records.remove_prefix(length);
    }
  }
};

// Some file systems leave it to us to find out what an entry is.
task<> resolve_type(directory_entry& entry) {
  task<file_status> asking = symlink_status(entry.path);
  const file_status found = co_await std::move(asking);
  if (found.type != file_type::not_found) entry.type = found.type;
}

/// The outcome as a value: what is wrong with one directory is no reason to end a walk.
task<std::error_code> read_entries(std::string path, int flags, std::vector<directory_entry>& out) {
  out.clear();
  if (weft::detail::has_zero(path)) co_return std::make_error_code(std::errc::invalid_argument);
  auto step = weft::detail::open_path(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | flags, 0);
  const result<int> fd = co_await step;
  if (!fd) co_return fd.error();
  weft::detail::descriptor directory(current_kernel(), *fd);
  const std::string prefix = path.ends_with('/') ? path : path + '/';
  const directory_reader reader{&directory.kernel_used(), *fd, &prefix, &out};
  int more = 1;
  while (more > 0) {
    task<int> reading = blocking(reader);
    more = co_await std::move(reading);
  }
  if (more < 0) co_return std::error_code(-more, std::system_category());
  for (directory_entry& entry : out) {
    if (entry.type != file_type::unknown) continue;
    task<> resolving = resolve_type(entry);
    co_await std::move(resolving);
  }
  co_return std::error_code();
}

task<std::vector<directory_entry>> directory_entries_copied(std::string path) {
  std::vector<directory_entry> entries;
  task<std::error_code> reading = read_entries(path, 0, entries);
  const std::error_code error = co_await std::move(reading);
  if (error) weft::detail::throw_path_error(error, "fs::directory_entries", path);
  co_return entries;
}

}  // namespace

task<std::vector<directory_entry>> directory_entries(path_view path) {
  return directory_entries_copied(path.string());
}

namespace detail {

walker::walker(std::string root, walk_options options) : options_(options) {
  pending_.push_back(std::move(root));
}

task<bool> walker::next(std::vector<directory_entry>& entries) {
  while (!pending_.empty()) {
    std::string path = std::move(pending_.back());
    pending_.pop_back();
    // A directory that was replaced by a link since we saw it must not lead us out of the tree.
    const int flags = std::exchange(at_root_, false) ? 0 : O_NOFOLLOW;
    task<std::error_code> reading = read_entries(path, flags, entries);
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

// SPDX-License-Identifier: MIT
#include "weft/io/file.hpp"

#include "weft/io/buffered_reader.hpp"
#include "weft/io/path_operations.hpp"
#include "weft/io/transfer_all.hpp"
#include "weft/runtime/as_result.hpp"

#include <liburing.h>

#include <algorithm>
#include <system_error>

#include <fcntl.h>

namespace weft {

namespace detail {

namespace {

// -1 would mean "the current position" to the kernel, and the rest is negative too.
constexpr std::uint64_t offset_max = std::numeric_limits<std::int64_t>::max();

/// What the lines of a file are read by.
struct file_source {
  static constexpr std::size_t piece = 64 * 1024;

  file* opened;
  std::uint64_t offset;

  auto read(mutable_buffer b) const noexcept { return opened->read_at(offset, b); }
  void advance(std::size_t count) noexcept { offset += count; }
};

class size_operation : public descriptor_operation<size_operation, void> {
public:
  static constexpr const char* name = "file::size";

  size_operation(descriptor& d, struct ::statx* out) noexcept
      : descriptor_operation(d, descriptor_use::shared), out_(out) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
    const auto& self = static_cast<size_operation&>(op);
    io_uring_prep_statx(&sqe, self.fd(), "", AT_EMPTY_PATH, STATX_SIZE, self.out_);
  }
  result<void> success(int) noexcept { return {}; }

private:
  struct ::statx* out_;
};

int open_flags(open_mode mode) noexcept {
  const bool writes = has(mode, open_mode::write) || has(mode, open_mode::append);
  int flags = !writes ? O_RDONLY : has(mode, open_mode::read) ? O_RDWR : O_WRONLY;
  if (has(mode, open_mode::create)) flags |= O_CREAT;
  if (has(mode, open_mode::exclusive)) flags |= O_EXCL;
  if (has(mode, open_mode::truncate)) flags |= O_TRUNC;
  if (has(mode, open_mode::append)) flags |= O_APPEND;
  return flags;
}

// What the kernel would accept and nobody can mean.
bool sensible(open_mode mode) noexcept {
  const bool writes = has(mode, open_mode::write) || has(mode, open_mode::append);
  const bool needs_write = has(mode, open_mode::truncate);
  const bool needs_create = has(mode, open_mode::exclusive);
  return (writes || (has(mode, open_mode::read) && !needs_write)) &&
         (!needs_create || has(mode, open_mode::create));
}

}  // namespace

read_at_operation::read_at_operation(descriptor& d, std::uint64_t offset, mutable_buffer b,
                                     int if_empty) noexcept
    : descriptor_operation(d, descriptor_use::shared), offset_(offset), data_(b.data()),
      size_(clamp_transfer(b.size())) {
  if (offset > offset_max)
    settle(-EINVAL);
  else if (b.size() == 0)
    settle(d.is_open() ? if_empty : -EBADF);
}

void read_at_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  const auto& self = static_cast<read_at_operation&>(op);
  io_uring_prep_read(&sqe, self.fd(), self.data_, self.size_, self.offset_);
}

write_at_operation::write_at_operation(descriptor& d, std::uint64_t offset, const_buffer b) noexcept
    : descriptor_operation(d, descriptor_use::shared), offset_(offset), data_(b.data()),
      size_(clamp_transfer(b.size())) {
  if (offset > offset_max)
    settle(-EINVAL);
  else if (b.size() == 0)
    settle(d.is_open() ? 0 : -EBADF);
}

void write_at_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  const auto& self = static_cast<write_at_operation&>(op);
  io_uring_prep_write(&sqe, self.fd(), self.data_, self.size_, self.offset_);
}

void sync_operation::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  const auto& self = static_cast<sync_operation&>(op);
  io_uring_prep_fsync(&sqe, self.fd(), self.data_only_ ? IORING_FSYNC_DATASYNC : 0);
}

}  // namespace detail

task<file> file::open(path_view path, open_mode mode, unsigned permissions) {
  return open_copied(path.string(), mode, permissions);
}

task<file> file::open_copied(std::string path, open_mode mode, unsigned permissions) {
  detail::check_path(path, "file::open");
  if (!detail::sensible(mode))
    detail::throw_path_error(std::make_error_code(std::errc::invalid_argument), "file::open", path);
  auto step = detail::open_path(AT_FDCWD, path.c_str(), detail::open_flags(mode), permissions);
  const result<int> fd = co_await step;
  if (!fd) detail::throw_path_error(fd.error(), "file::open", path);
  co_return file(detail::descriptor(current_kernel(), *fd));
}

task<> file::read_exact_at(std::uint64_t offset, mutable_buffer buffer) {
  return detail::transfer_all(
      [this, offset, buffer](std::size_t done) {
        return detail::read_at_operation(file_, offset + done, buffer.from(done), 0);
      },
      buffer.size(), "file::read_exact_at", std::errc::no_message_available, "the file ended");
}

async_generator<std::string> file::lines(std::size_t size_max, std::uint64_t offset) {
  return detail::lines_of(detail::file_source{this, offset}, nullptr, size_max);
}

task<> file::write_all_at(std::uint64_t offset, const_buffer data) {
  return detail::transfer_all(
      [this, offset, data](std::size_t done) {
        return detail::write_at_operation(file_, offset + done, data.from(done));
      },
      data.size(), "file::write_all_at", std::errc::io_error, "the kernel takes nothing");
}

task<std::uint64_t> file::size() {
  struct ::statx found{};
  auto step = as_result(detail::size_operation(file_, &found));
  const result<void> done = co_await step;
  if (!done) throw_error(done.error(), "file::size");
  co_return found.stx_size;
}

task<std::string> file::read_all(std::size_t size_max) {
  constexpr std::size_t piece_min = 16 * 1024;
  const std::error_code too_large = std::make_error_code(std::errc::file_too_large);
  task<std::uint64_t> sizing = size();
  const std::uint64_t expected = co_await std::move(sizing);
  if (expected > size_max) throw_error(too_large, "file::read_all");
  // One byte more than there should be, so that the end shows without another piece of memory.
  std::string all(expected == 0 ? piece_min : expected + 1, '\0');
  std::size_t done = 0;
  for (;;) {
    if (done == all.size()) all.resize(done + std::max(piece_min, done / 2));
    const mutable_buffer rest(all.data() + done, all.size() - done);
    detail::read_at_operation step(file_, done, rest, -EINVAL);
    const std::size_t moved = co_await step;
    if (moved == 0) break;
    done += moved;
    if (done > size_max) throw_error(too_large, "file::read_all");
  }
  all.resize(done);
  co_return all;
}

}  // namespace weft

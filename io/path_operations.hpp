// SPDX-License-Identifier: MIT
#pragma once
// The operations that take paths, each one submission. The kernel reads the path when it takes the
// entry, or later on a thread of its own: whoever awaits keeps the string alive, in its frame. For
// the .cpp files of io/ only.

#include "weft/io/descriptor_operation.hpp"
#include "weft/runtime/error.hpp"

#include <liburing.h>

#include <cerrno>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

namespace weft::detail {

/// One submission whose outcome is the kernel's number, as a value; `Prepare` fills the entry.
template <class Prepare>
class path_operation : public ring_awaitable<path_operation<Prepare>, int> {
public:
  static constexpr const char* name = "a system call with a path";

  explicit path_operation(const Prepare& p) noexcept : prepare_(p) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
    static_cast<path_operation&>(op).prepare_(sqe);
  }
  result<int> success(int n) noexcept { return n; }
  result<int> await_resume() noexcept { return this->outcome(); }

private:
  Prepare prepare_;
};

/// O_CLOEXEC is always set.
inline auto open_path(int directory, const char* path, int flags, unsigned permissions) noexcept {
  return path_operation([=](io_uring_sqe& sqe) noexcept {
    io_uring_prep_openat(&sqe, directory, path, flags | O_CLOEXEC, permissions);
  });
}

inline auto stat_path(int directory, const char* path, int flags, struct ::statx* out) noexcept {
  return path_operation([=](io_uring_sqe& sqe) noexcept {
    io_uring_prep_statx(&sqe, directory, path, flags, STATX_BASIC_STATS, out);
  });
}

inline bool has_zero(const std::string& path) noexcept {
  return path.find('\0') != std::string::npos;
}

/// Throws system_error "call "path": reason" (cancelled for cancelled_code()).
[[noreturn, gnu::cold]] void throw_path_error(std::error_code code, const char* call,
                                              const std::string& path);

/// A zero inside would make the kernel see another path than the user does.
void check_path(const std::string& path, const char* call);

}  // namespace weft::detail

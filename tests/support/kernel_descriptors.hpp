// SPDX-License-Identifier: MIT
#pragma once
// On what the schedulers of this process run, by the descriptors that their queues hold.

#include <filesystem>
#include <string>
#include <system_error>

namespace weft::tests {

/// "io_uring" or "epoll"; with queues of both "io_uring epoll", without any nothing.
inline std::string kernel_by_descriptors() {
  bool uring = false;
  bool epoll = false;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed_meanwhile;
    const std::string target = std::filesystem::read_symlink(entry, closed_meanwhile);
    uring = uring || target == "anon_inode:[io_uring]";
    epoll = epoll || target == "anon_inode:[eventpoll]";
  }
  return std::string(uring ? "io_uring" : "") + (uring && epoll ? " " : "") +
         (epoll ? "epoll" : "");
}

}  // namespace weft::tests

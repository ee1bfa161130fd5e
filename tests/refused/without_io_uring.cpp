// SPDX-License-Identifier: MIT
// Becomes a program to which the kernel refuses io_uring, as a container's seccomp profile does
// (EPERM, or ENOSYS as if there were none) and as kernel.io_uring_disabled does (EPERM). KILL ends
// the program at its first try; ENTER lets it open a ring, but not enter it (EPERM). The programs
// that it starts are refused it, too.
//
//     without_io_uring EPERM|EACCES|ENOSYS|ENOMEM|EMFILE|KILL|ENTER PROGRAM [ARG...]

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include <seccomp.h>
#include <unistd.h>

namespace {

std::optional<std::uint32_t> answer_called(std::string_view name) {
  if (name == "EPERM") return SCMP_ACT_ERRNO(EPERM);
  if (name == "EACCES") return SCMP_ACT_ERRNO(EACCES);
  if (name == "ENOSYS") return SCMP_ACT_ERRNO(ENOSYS);
  if (name == "ENOMEM") return SCMP_ACT_ERRNO(ENOMEM);
  if (name == "EMFILE") return SCMP_ACT_ERRNO(EMFILE);
  if (name == "KILL") return SCMP_ACT_KILL_PROCESS;
  if (name == "ENTER") return SCMP_ACT_ERRNO(EPERM);
  return std::nullopt;
}

/// 0, or -errno.
int answer_io_uring_with(std::uint32_t answer, bool only_enter) {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return -ENOMEM;
  int error = 0;
  for (const int call :
       {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)}) {
    if (only_enter && call != SCMP_SYS(io_uring_enter)) continue;
    if (error == 0) error = seccomp_rule_add(filter, answer, call, 0);
  }
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return error;
}

}  // namespace

int main(int argc, char** argv) {
  const auto answer = argc < 3 ? std::nullopt : answer_called(argv[1]);
  if (!answer) {
    std::fprintf(stderr, "usage: without_io_uring "
                         "EPERM|EACCES|ENOSYS|ENOMEM|EMFILE|KILL|ENTER PROGRAM [ARG...]\n");
    return 2;
  }
  if (const int error = answer_io_uring_with(*answer, std::string_view(argv[1]) == "ENTER");
      error != 0) {
    std::fprintf(stderr, "no seccomp filter can be loaded: %s\n", std::strerror(-error));
    return 2;
  }
  execvp(argv[2], argv + 2);
  std::perror(argv[2]);
  return 2;
}

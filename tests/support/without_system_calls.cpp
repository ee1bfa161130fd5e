// SPDX-License-Identifier: MIT
#include "support/without_system_calls.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <system_error>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#define WEFT_TESTS_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define WEFT_TESTS_ADDRESS_SANITIZER 0
#endif

namespace weft::tests {

namespace {

constexpr std::array allowed{
    SYS_write,
    SYS_exit_group,
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
#if defined(__SANITIZE_ADDRESS__) || WEFT_TESTS_ADDRESS_SANITIZER
    // The sanitizer's own: it writes memory into a pipe to see whether it can be read, and asks for
    // the signal stack at each throw.
    SYS_pipe2,
    SYS_close,
    SYS_sigaltstack,
#endif
};

int report_to = -1;

void send(child_outcome outcome) noexcept {
  if (::write(report_to, &outcome, sizeof outcome) != sizeof outcome) ::_exit(2);
}

void trapped(int, siginfo_t* info, void*) noexcept {
  send({.succeeded = false, .system_call = info->si_syscall});
  ::_exit(1);
}

bool install_filter() noexcept {
  // Load the number; each allowed one jumps to the end; the rest is trapped.
  std::array<sock_filter, allowed.size() + 3> program{};
  program[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (std::size_t i = 0; i < allowed.size(); ++i)
    program[i + 1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<__u32>(allowed[i]),
                              static_cast<__u8>(allowed.size() - i), 0);
  program[allowed.size() + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  program[allowed.size() + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0;
}

/// The first throw of a process sets up the unwinder, and ends that with a futex call.
void warm_up() noexcept {
  try {
    throw 0;
  } catch (int) {}
}

[[noreturn]] void run_child(bool (*body)()) noexcept {
  warm_up();
  struct sigaction action{};
  action.sa_sigaction = &trapped;
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &action, nullptr) != 0 || !install_filter()) ::_exit(2);
  send({.succeeded = body(), .system_call = -1});
  ::_exit(0);
}

}  // namespace

child_outcome run_without_system_calls(bool (*body)()) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::system_category(), "fork");
  if (child == 0) {
    report_to = ends[1];
    run_child(body);
  }
  ::close(ends[1]);
  child_outcome outcome;
  // A child that died by a signal has sent nothing, and `succeeded` stays false.
  if (::read(ends[0], &outcome, sizeof outcome) != sizeof outcome) outcome = {};
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return outcome;
}

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// doctor: what weft finds on this machine, as text for a bug report. `./dev doctor` prints it.

#include <string>

namespace weft {

/// The versions of weft and of the kernel; whether weft uses io_uring or epoll here, why, and what
/// helps when io_uring is refused; the flags, features and operations of io_uring that are found
/// and missing; what sysctl, seccomp and the limits of memory, descriptors and threads say.
///
/// Returns: about 25 lines of plain ASCII, of at most 100 columns. It names no host, user or path,
///          and none of the environment but WEFT_KERNEL. What cannot be found out is said to be so.
///          It speaks of a process that has not yet run anything, without `run_options::kernel`:
///          the first queue that is opened decides for all.
/// Errors:  bad_alloc.
/// Thread:  any; in a task, too, but it blocks the thread.
/// Cost:    opens and closes nine rings, one after the other. A seccomp filter that kills instead
///          of refusing does so here as well.
/// Source:  io_uring_setup(2), io_uring_register(2), uname(2), getrlimit(2), proc(5).
[[nodiscard]] std::string doctor();

}  // namespace weft

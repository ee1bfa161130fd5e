// SPDX-License-Identifier: MIT
#pragma once
// What doctor() looks at: this kernel, what it allows this process, and what weft was asked for.
// Only facts; diagnosis.hpp draws the conclusions. Whatever cannot be read is a finding, too.

#include "weft/io/detail/ring_findings.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft::detail {

/// A number from a file of /proc.
struct host_setting {
  std::optional<long> value{};
  int error = 0;  // why there is none; ENOENT: this kernel does not have it
};

/// A resource limit as getrlimit(2) has it.
struct host_limit {
  static constexpr std::uint64_t unlimited = UINT64_MAX;

  bool known = false;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

/// A system call, and the errno that says that it is not to be had; 0 when it is.
struct host_call {
  const char* name;
  int refused = 0;
};

struct host_findings {
  std::string system;      // "Linux"
  std::string release;     // "6.1.0-13-amd64"
  std::string machine;     // "x86_64"
  std::string kernel_env;  // the value of WEFT_KERNEL
  ring_findings ring;
  host_setting uring_disabled;  // sysctl kernel.io_uring_disabled
  host_setting uring_group;     // sysctl kernel.io_uring_group
  host_setting seccomp;         // 0: no filter, 1: strict, 2: a filter is active
  host_setting seccomp_filters;
  host_setting no_new_privs;
  host_setting threads;
  host_limit locked_memory;
  host_limit descriptors;
  host_limit processes;
  std::optional<long> descriptors_open{};
  std::vector<host_call> calls;  // the newer ones that matter when epoll takes io_uring's place
};

/// Looks at everything. `proc` is where the proc file system is (/proc): a parameter, so that a
/// test can put a directory of its own in its place.
///
/// Errors: bad_alloc.
/// Thread: any.
host_findings look_at_host(const std::string& proc);

}  // namespace weft::detail

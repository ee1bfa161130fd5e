// SPDX-License-Identifier: MIT
#pragma once
// What follows from the findings: which kernel weft uses, why, and when io_uring is refused by whom
// and what helps. Pure functions, which ask the world nothing.

#include "weft/io/detail/host_findings.hpp"
#include "weft/io/kernel/kernel_choice.hpp"

#include <string>

namespace weft::detail {

/// Who most likely refuses io_uring.
enum class refused_by : unsigned char {
  nobody,
  sysctl,           // kernel.io_uring_disabled is 2: to everybody
  sysctl_group,     // it is 1: to those outside of kernel.io_uring_group
  seccomp_filter,   // of a container or a service
  security_module,  // SELinux and its like
  build,            // the kernel has no io_uring
  memory,
  age,          // it lacks what weft needs
  descriptors,  // none is left
  unknown,
};

struct diagnosis {
  answered_by used;    // undecided: weft does not start
  refused_by cause;    // also where WEFT_KERNEL makes it of no interest
  std::string why;     // one sentence about `used`
  std::string remedy;  // what gives io_uring, or lets weft start; empty when it needs nothing
};

/// Errors: bad_alloc.
diagnosis diagnose(const host_findings& found);

/// "EPERM", "ENOSYS"; "errno 4000" for one that has no name.
std::string errno_name(int error);
/// What it means, in English whatever the locale; "unknown".
const char* errno_text(int error) noexcept;

}  // namespace weft::detail

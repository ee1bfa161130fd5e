// SPDX-License-Identifier: MIT
#include "weft/io/detail/diagnosis.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

namespace weft::detail {

namespace {

/// The sysctl's value; 0 where this kernel does not have it.
long disabled_for(const host_findings& found) noexcept {
  return found.uring_disabled.value.value_or(0);
}

bool filtered(const host_findings& found) noexcept { return found.seccomp.value == 2; }

refused_by likely_cause(const host_findings& found) noexcept {
  switch (found.ring.error) {
  case 0:
    return refused_by::nobody;
  case EPERM:
    if (disabled_for(found) >= 2) return refused_by::sysctl;
    if (disabled_for(found) == 1) return refused_by::sysctl_group;
    [[fallthrough]];
  case EACCES:
    return filtered(found) ? refused_by::seccomp_filter : refused_by::security_module;
  case ENOSYS:
    if (filtered(found)) return refused_by::seccomp_filter;
    // A kernel that has the switch has io_uring: something between hides it.
    return found.uring_disabled.value ? refused_by::security_module : refused_by::build;
  case ENOMEM:
    return refused_by::memory;
  case EINVAL:
    return refused_by::age;
  case EMFILE:
  case ENFILE:
    return refused_by::descriptors;
  default:
    return refused_by::unknown;
  }
}

std::string sysctl_is(const host_findings& found) {
  if (found.uring_disabled.value)
    return fmt::format("sysctl kernel.io_uring_disabled is {}", *found.uring_disabled.value);
  if (found.uring_disabled.error == ENOENT) return "there is no sysctl kernel.io_uring_disabled";
  return "sysctl kernel.io_uring_disabled cannot be read";
}

std::string lacking(const ring_findings& ring) {
  std::vector<ring_part> needed;
  for (const auto* parts : {&ring.flags, &ring.features})
    for (const ring_part& part : *parts)
      if (part.needed && !part.found) needed.push_back(part);
  return needed.empty() ? "something that weft needs" : missing_names(needed);
}

/// Why a ring cannot be had: a clause that goes on after a colon or a comma.
std::string reason(const host_findings& found, refused_by cause) {
  // Where a plain ring opens, a filter has thought of the other call only.
  const bool opens = found.ring.looked_into && found.ring.error != EINVAL &&
                     found.ring.error != ENOMEM && found.ring.error != EMFILE;
  const std::string fails =
      fmt::format("{} fails with {}", opens ? "io_uring_enter" : "io_uring_setup",
                  errno_name(found.ring.error));
  switch (cause) {
  case refused_by::nobody:
    return "a ring opens";
  case refused_by::sysctl:
    return fmt::format("{}, and {}: io_uring is switched off for all{}", fails, sysctl_is(found),
                       filtered(found) ? " (a seccomp filter is active, too)" : "");
  case refused_by::sysctl_group:
    return fmt::format("{}, and {}: only those with CAP_SYS_ADMIN, or in the group that "
                       "kernel.io_uring_group names, may use io_uring{}",
                       fails, sysctl_is(found),
                       filtered(found) ? " (a seccomp filter is active, too)" : "");
  case refused_by::seccomp_filter:
    if (found.ring.error == ENOSYS)
      return fmt::format("{}, and a seccomp filter is active: {}", fails,
                         found.uring_disabled.value
                             ? "it hides io_uring, for the sysctl shows that this kernel has it"
                             : "it may hide io_uring, or this kernel was built without");
    return fmt::format("{}, {}, and a seccomp filter is active: the filter of the container or "
                       "service refuses it",
                       fails, sysctl_is(found));
  case refused_by::security_module:
    return fmt::format("{}, {}, and {}: probably a security module (SELinux, AppArmor, BPF) or a "
                       "sandbox refuses it",
                       fails, sysctl_is(found),
                       found.seccomp.value ? "no seccomp filter is active"
                                           : "it is not known whether a seccomp filter is active");
  case refused_by::build:
    return fails + ": this kernel was built without io_uring, or is older than 5.1";
  case refused_by::memory:
    return fails + ": there is not enough memory, of that which may be locked or of the "
                   "container's";
  case refused_by::age:
    return fmt::format("this kernel's io_uring lacks {}", lacking(found.ring));
  case refused_by::descriptors:
    return fmt::format("no descriptor is left ({}) to open a ring with",
                       errno_name(found.ring.error));
  case refused_by::unknown:
    break;
  }
  return fmt::format("a ring cannot be opened: {}", errno_name(found.ring.error));
}

std::string what_helps(refused_by cause) {
  switch (cause) {
  case refused_by::nobody:
  case refused_by::unknown:
    return {};
  case refused_by::sysctl:
    return "as root, for a container on its host: sysctl kernel.io_uring_disabled=0";
  case refused_by::sysctl_group:
    return "as root, for a container on its host: sysctl kernel.io_uring_group=GID with a group "
           "of the user's, or sysctl kernel.io_uring_disabled=0";
  case refused_by::seccomp_filter:
    return "a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register "
           "(docker, podman: --security-opt seccomp=PROFILE; systemd: SystemCallFilter=)";
  case refused_by::security_module:
    return "look for io_uring in the kernel's and the audit log, and allow it in that module's "
           "policy";
  case refused_by::build:
  case refused_by::age:
    return "Linux 5.19 or newer with io_uring; 6.1 for the quickest";
  case refused_by::memory:
    return "raise the limit of locked memory (ulimit -l, RLIMIT_MEMLOCK) or the container's "
           "memory";
  case refused_by::descriptors:
    return "raise the limit of descriptors (ulimit -n, RLIMIT_NOFILE), or find who leaves them "
           "open";
  }
  return {};
}

}  // namespace

std::string errno_name(int error) {
  const char* const name = ::strerrorname_np(error);
  return name != nullptr ? name : fmt::format("errno {}", error);
}

const char* errno_text(int error) noexcept {
  const char* const text = ::strerrordesc_np(error);
  return text != nullptr ? text : "unknown";
}

diagnosis diagnose(const host_findings& found) {
  const refused_by cause = likely_cause(found);
  const std::string why = reason(found, cause);
  const std::optional<answered_by> asked = kernel_named(found.kernel_env);
  if (!asked)
    return {answered_by::undecided, cause, "WEFT_KERNEL has a value that means nothing",
            "WEFT_KERNEL=uring or WEFT_KERNEL=epoll, or unset it to take what there is"};
  const bool opens = cause == refused_by::nobody;
  const bool refusal = is_refusal({found.ring.error, std::system_category()});
  switch (*asked) {
  case answered_by::epoll:
    return {answered_by::epoll, cause,
            "WEFT_KERNEL asks for it; " + (opens ? "io_uring could be had, too" : why),
            opens ? "unset WEFT_KERNEL for io_uring" : what_helps(cause)};
  case answered_by::uring:
    if (opens) return {answered_by::uring, cause, "WEFT_KERNEL asks for it, and " + why, {}};
    return {answered_by::undecided, cause, "WEFT_KERNEL asks for io_uring, and " + why,
            (refusal ? "unset WEFT_KERNEL to go on without io_uring; to have it: " : "") +
                what_helps(cause)};
  case answered_by::undecided:
    break;
  }
  if (opens) return {answered_by::uring, cause, why + ", and WEFT_KERNEL is not set", {}};
  return {refusal ? answered_by::epoll : answered_by::undecided, cause, why, what_helps(cause)};
}

}  // namespace weft::detail

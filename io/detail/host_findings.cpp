// SPDX-License-Identifier: MIT
#include "weft/io/detail/host_findings.hpp"

#include "weft/io/kernel/kernel_choice.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace weft::detail {

namespace {

/// A file's text, or why it cannot be read.
struct proc_file {
  std::string text{};
  int error = 0;
};

proc_file read_proc(const std::string& path) {
  proc_file file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    file.error = errno;
    return file;
  }
  try {
    std::array<char, 4096> part;
    ssize_t size = 0;
    while ((size = ::read(fd, part.data(), part.size())) > 0)
      file.text.append(part.data(), static_cast<std::size_t>(size));
    if (size < 0) file.error = errno;
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
  return file;
}

host_setting number_in(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return {{}, EINVAL};
  return {value, 0};
}

host_setting sysctl(const std::string& proc, const char* name) {
  const proc_file file = read_proc(proc + "/sys/kernel/" + name);
  return file.error != 0 ? host_setting{{}, file.error} : number_in(file.text);
}

/// The line "KEY:\tVALUE" of /proc/self/status.
host_setting line_of(const proc_file& status, std::string_view key) noexcept {
  if (status.error != 0) return {{}, status.error};
  for (std::string_view rest = status.text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':'))
      return number_in(line.substr(key.size() + 1));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return {{}, ENOENT};
}

host_limit limit_of(__rlimit_resource_t resource) noexcept {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return {};
  const auto number = [](rlim_t one) {
    return one == RLIM_INFINITY ? host_limit::unlimited : std::uint64_t{one};
  };
  return {true, number(limit.rlim_cur), number(limit.rlim_max)};
}

std::optional<long> open_descriptors(const std::string& proc) {
  std::error_code error;
  std::filesystem::directory_iterator entry(proc + "/self/fd", error);
  long count = -1;  // the one that reads the directory is among them
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  if (error) return std::nullopt;
  return count;
}

/// Each is called with a descriptor that none is, so that nothing happens: where the call is to be
/// had, that is what the kernel complains of.
std::vector<host_call> newer_calls() {
  const auto refused = [](long result) {
    const int error = result < 0 ? errno : 0;
    return error == ENOSYS || error == EPERM || error == EACCES ? error : 0;
  };
  const open_how how{};
  std::vector<host_call> calls;
  calls.push_back(
      {"epoll_pwait2", refused(::syscall(SYS_epoll_pwait2, -1, nullptr, 0, nullptr, nullptr, 0))});
  calls.push_back({"openat2", refused(::syscall(SYS_openat2, -1, "none", &how, sizeof how))});
  calls.push_back({"preadv2", refused(::syscall(SYS_preadv2, -1, nullptr, 0, 0, 0, 0))});
  return calls;
}

}  // namespace

host_findings look_at_host(const std::string& proc) {
  host_findings found;
  utsname name{};
  if (::uname(&name) == 0) {
    found.system = name.sysname;
    found.release = name.release;
    found.machine = name.machine;
  }
  found.kernel_env = kernel_asked_for();
  found.ring = look_at_rings();
  found.uring_disabled = sysctl(proc, "io_uring_disabled");
  found.uring_group = sysctl(proc, "io_uring_group");
  const proc_file status = read_proc(proc + "/self/status");
  found.seccomp = line_of(status, "Seccomp");
  found.seccomp_filters = line_of(status, "Seccomp_filters");
  found.no_new_privs = line_of(status, "NoNewPrivs");
  found.threads = line_of(status, "Threads");
  found.locked_memory = limit_of(RLIMIT_MEMLOCK);
  found.descriptors = limit_of(RLIMIT_NOFILE);
  found.processes = limit_of(RLIMIT_NPROC);
  found.descriptors_open = open_descriptors(proc);
  found.calls = newer_calls();
  return found;
}

}  // namespace weft::detail

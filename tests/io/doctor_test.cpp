// SPDX-License-Identifier: MIT
#include "weft/io/doctor.hpp"

#include "support/dying_words.hpp"
#include "support/temporary_directory.hpp"
#include "weft/io/detail/diagnosis.hpp"
#include "weft/io/detail/doctor_text.hpp"
#include "weft/io/detail/host_findings.hpp"
#include "weft/io/kernel/linux_queue.hpp"
#include "weft/io/kernel/ring_needs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace doctor_test {

using namespace weft;
using detail::answered_by;
using detail::diagnose;
using detail::diagnosis;
using detail::host_findings;
using detail::refused_by;

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The row of that label, with the lines that go on without one, as one line.
std::string row(const std::string& text, const std::string& label) {
  std::istringstream lines(text);
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(label + " "))
      found = line.substr(16);
    else if (!found.empty() && line.starts_with(std::string(16, ' ')))
      found += " " + line.substr(16);
    else if (!found.empty())
      break;
  }
  return found;
}

/// A process on a machine that allows everything.
host_findings healthy() {
  host_findings f;
  f.system = "Linux";
  f.release = "6.1.0-13-amd64";
  f.machine = "x86_64";
  f.ring.flags_used = "SUBMIT_ALL";
  f.ring.looked_into = f.ring.operations_known = true;
  f.ring.flags = {{"SUBMIT_ALL", "5.18", true, true}, {"DEFER_TASKRUN", "6.1", false, true}};
  f.ring.features = {{"EXT_ARG", "5.11", true, true}, {"CQE_SKIP", "5.17", false, true}};
  f.ring.operations = {{"RECV", "5.6", false, true}, {"MKDIRAT", "5.15", false, true}};
  f.uring_disabled = {0, 0};
  f.uring_group = {-1, 0};
  f.seccomp = f.seccomp_filters = f.no_new_privs = {0, 0};
  f.threads = {1, 0};
  f.locked_memory = {true, 64 * 1024, detail::host_limit::unlimited};
  f.descriptors = {true, 1024, 4096};
  f.processes = {true, 100, 200};
  f.descriptors_open = 7;
  f.calls = {{"openat2", 0}, {"epoll_pwait2", ENOSYS}};
  return f;
}

/// A machine that refuses a ring, as far as the cause depends on it.
struct refusal {
  int error;
  std::optional<long> disabled;
  int seccomp;
  answered_by used;
  refused_by cause;
  const char* because;
  const char* helps;
};

host_findings refused(const refusal& how) {
  host_findings f = healthy();
  f.ring = {};
  f.ring.error = how.error;
  f.uring_disabled = {how.disabled, how.disabled ? 0 : ENOENT};
  f.seccomp = {how.seccomp, 0};
  return f;
}

constexpr auto absent = std::nullopt;
const std::array refusals{
    refusal{EPERM, 2, 0, answered_by::epoll, refused_by::sysctl, "io_uring_disabled is 2",
            "kernel.io_uring_disabled=0"},
    refusal{EPERM, 2, 2, answered_by::epoll, refused_by::sysctl, "filter is active, too",
            "kernel.io_uring_disabled=0"},
    refusal{EPERM, 1, 0, answered_by::epoll, refused_by::sysctl_group, "io_uring_disabled is 1",
            "kernel.io_uring_group=GID"},
    refusal{EPERM, 1, 2, answered_by::epoll, refused_by::sysctl_group, "filter is active, too",
            "kernel.io_uring_group=GID"},
    refusal{EPERM, 0, 2, answered_by::epoll, refused_by::seccomp_filter,
            "io_uring_disabled is 0, and a seccomp filter is active", "seccomp=PROFILE"},
    refusal{EPERM, absent, 2, answered_by::epoll, refused_by::seccomp_filter,
            "no sysctl kernel.io_uring_disabled, and a seccomp filter", "seccomp=PROFILE"},
    refusal{EACCES, 2, 2, answered_by::epoll, refused_by::seccomp_filter, "EACCES",
            "io_uring_setup, io_uring_enter and io_uring_register"},
    refusal{EPERM, 0, 0, answered_by::epoll, refused_by::security_module,
            "no seccomp filter is active: probably a security module", "audit log"},
    refusal{EACCES, absent, 0, answered_by::epoll, refused_by::security_module, "SELinux",
            "audit log"},
    refusal{ENOSYS, 0, 2, answered_by::epoll, refused_by::seccomp_filter,
            "the sysctl shows that this kernel has it", "seccomp=PROFILE"},
    refusal{ENOSYS, absent, 2, answered_by::epoll, refused_by::seccomp_filter,
            "it may hide io_uring", "seccomp=PROFILE"},
    refusal{ENOSYS, absent, 0, answered_by::epoll, refused_by::build, "built without io_uring",
            "Linux 5.19"},
    refusal{ENOSYS, 0, 0, answered_by::epoll, refused_by::security_module, "sandbox", "audit log"},
    refusal{ENOMEM, 0, 2, answered_by::epoll, refused_by::memory, "not enough memory",
            "RLIMIT_MEMLOCK"},
    refusal{EINVAL, absent, 0, answered_by::epoll, refused_by::age, "lacks", "Linux 5.19"},
    refusal{EMFILE, 0, 0, answered_by::undecided, refused_by::descriptors, "(EMFILE)",
            "RLIMIT_NOFILE"},
    refusal{ENFILE, 0, 0, answered_by::undecided, refused_by::descriptors, "(ENFILE)",
            "RLIMIT_NOFILE"},
    refusal{EIO, 0, 0, answered_by::undecided, refused_by::unknown, "EIO", ""},
    refusal{4000, 0, 0, answered_by::undecided, refused_by::unknown, "errno 4000", ""},
};

/// What doctor() returns in a forked child that `change` has prepared; empty if that failed, or if
/// doctor() threw.
template <class Change>
std::string doctor_after(Change change) {
  const tests::child_end end = tests::in_child([&] {
    try {
      ::unsetenv("WEFT_KERNEL");
      if (!change()) return 1;
      std::fputs(doctor().c_str(), stderr);
    } catch (const std::exception&) {
      return 2;
    }
    return 0;
  });
  return end.exited_with(0) ? end.said : std::string();
}

/// From now on this process is refused a system call with an errno.
bool filter_call(unsigned number, int error) {
  std::array program{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog all{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
}

bool a_ring_opens() {
  try {
    (void)detail::open_linux_queue(system_kernel(), {});
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

TEST_SUITE("io/doctor") {
  TEST_CASE("a ring that opens is used, and nothing needs help") {
    const diagnosis d = diagnose(healthy());
    CHECK(d.used == answered_by::uring);
    CHECK(d.cause == refused_by::nobody);
    CHECK(d.remedy == "");
  }

  TEST_CASE("who refuses io_uring is concluded from the errno, the sysctl and seccomp") {
    for (const refusal& how : refusals) {
      CAPTURE(how.error);
      CAPTURE(how.disabled.value_or(-1));
      CAPTURE(how.seccomp);
      const diagnosis d = diagnose(refused(how));
      CHECK(d.used == how.used);
      CHECK(d.cause == how.cause);
      CHECK_MESSAGE(contains(d.why, how.because), d.why);
      CHECK_MESSAGE(contains(d.why, detail::errno_name(how.error)) == (how.error != EINVAL), d.why);
      CHECK_MESSAGE(contains(d.remedy, how.helps), d.remedy);
      CHECK((how.helps[0] == '\0') == d.remedy.empty());
    }
  }

  TEST_CASE("a sysctl that cannot be read is neither absent nor 0") {
    host_findings f = refused({EPERM, 0, 0, {}, {}, "", ""});
    f.uring_disabled = {{}, EACCES};
    CHECK(contains(diagnose(f).why, "io_uring_disabled cannot be read"));
    CHECK(contains(row(doctor_text(f), "sysctl"), "io_uring_disabled: not readable (EACCES)"));
  }

  TEST_CASE("what a ring lacks is named when weft needs it") {
    host_findings f = healthy();
    f.ring.error = EINVAL;
    for (auto* parts : {&f.ring.flags, &f.ring.features})
      for (detail::ring_part& part : *parts) part.found = false;
    const std::string why = diagnose(f).why;
    CHECK(contains(why, "lacks SUBMIT_ALL (Linux 5.18), EXT_ARG (Linux 5.11)"));
    CHECK(!contains(why, "DEFER_TASKRUN"));
    CHECK(!contains(why, "CQE_SKIP"));
  }

  TEST_CASE("WEFT_KERNEL decides, and the text says what it keeps from being used or hides") {
    host_findings f = healthy();
    f.kernel_env = "epoll";
    CHECK(diagnose(f).used == answered_by::epoll);
    CHECK(contains(diagnose(f).why, "io_uring could be had"));
    CHECK(contains(diagnose(f).remedy, "unset WEFT_KERNEL"));
    f.kernel_env = "uring";
    CHECK(diagnose(f).used == answered_by::uring);
    CHECK(diagnose(f).remedy == "");
    f.kernel_env = "io_uring";
    CHECK(diagnose(f).used == answered_by::undecided);
    CHECK(contains(diagnose(f).remedy, "WEFT_KERNEL=uring or WEFT_KERNEL=epoll"));

    f = refused({EPERM, 2, 0, {}, {}, "", ""});
    f.kernel_env = "epoll";
    CHECK(diagnose(f).used == answered_by::epoll);
    CHECK(contains(diagnose(f).why, "io_uring_disabled is 2"));
    f.kernel_env = "uring";
    CHECK(diagnose(f).used == answered_by::undecided);
    CHECK(diagnose(f).cause == refused_by::sysctl);
    CHECK(contains(diagnose(f).why, "io_uring_disabled is 2"));
    CHECK(contains(diagnose(f).remedy, "unset WEFT_KERNEL"));

    // Without it weft would not start either.
    for (const int error : {EMFILE, EIO}) {
      f.ring.error = error;
      f.kernel_env = "uring";
      CHECK(diagnose(f).used == answered_by::undecided);
      const std::string remedy = diagnose(f).remedy;
      CHECK_FALSE(contains(remedy, "WEFT_KERNEL"));
      f.kernel_env = "";
      CHECK(diagnose(f).remedy == remedy);
    }
  }

  TEST_CASE("the text shows every finding") {
    host_findings f = healthy();
    f.kernel_env = "epoll";
    f.ring.flags[1].found = f.ring.features[1].found = f.ring.operations[1].found = false;
    f.seccomp = {2, 0};
    f.seccomp_filters = {3, 0};
    const std::string text = doctor_text(f);
    CHECK(row(text, "kernel") == "Linux 6.1.0-13-amd64, x86_64");
    CHECK(row(text, "weft uses") == "epoll and helper threads");
    CHECK(row(text, "because") == diagnose(f).why);
    CHECK(row(text, "what helps") == diagnose(f).remedy);
    CHECK(row(text, "WEFT_KERNEL") == "epoll");
    CHECK(row(text, "io_uring") == "opens, with SUBMIT_ALL");
    CHECK(row(text, "setup flags") == "found: SUBMIT_ALL missing: DEFER_TASKRUN (Linux 6.1)");
    CHECK(row(text, "ring features") == "found: EXT_ARG missing: CQE_SKIP (Linux 5.17)");
    CHECK(row(text, "operations") == "found: RECV missing: MKDIRAT (Linux 5.15)");
    CHECK(row(text, "sysctl") == "kernel.io_uring_disabled: 0: io_uring is allowed to all "
                                 "kernel.io_uring_group: -1: none");
    CHECK(row(text, "seccomp") ==
          "Seccomp: 2: a filter is active; Seccomp_filters: 3; NoNewPrivs: 0");
    CHECK(row(text, "locked memory") == "soft 64 KiB, hard unlimited (RLIMIT_MEMLOCK)");
    CHECK(row(text, "descriptors") == "open 7, soft 1024, hard 4096 (RLIMIT_NOFILE)");
    CHECK(row(text, "threads") == "1 here; of the user's: soft 100, hard 200 (RLIMIT_NPROC)");
    CHECK(row(text, "system calls") == "found: openat2; missing: epoll_pwait2 (ENOSYS)");
  }

  TEST_CASE("what is not known is said to be so") {
    host_findings f = refused({ENOSYS, absent, 0, {}, {}, "", ""});
    f.uring_group = f.seccomp = f.seccomp_filters = {{}, ENOENT};
    f.threads = {{}, EMFILE};
    f.locked_memory = f.descriptors = f.processes = {};
    f.descriptors_open = std::nullopt;
    const std::string text = doctor_text(f);
    CHECK(row(text, "io_uring") == "does not open: ENOSYS (Function not implemented)");
    for (const char* const label : {"setup flags", "ring features", "operations"})
      CHECK(row(text, label) == "not known, for no ring can be asked");
    CHECK(row(text, "sysctl") == "kernel.io_uring_disabled: absent: Linux before 6.6 has no such "
                                 "switch kernel.io_uring_group: absent");
    CHECK(contains(row(text, "seccomp"), "Seccomp: absent; Seccomp_filters: absent"));
    CHECK(row(text, "locked memory") == "not known (RLIMIT_MEMLOCK)");
    CHECK(row(text, "descriptors") == "open not known, not known (RLIMIT_NOFILE)");
    CHECK(contains(row(text, "threads"), "not readable (EMFILE)"));
  }

  TEST_CASE("the text is plain lines, whatever others have set") {
    host_findings f = healthy();
    f.kernel_env = "a\n\x1b[31mb\xc3\xa4" + std::string(500, 'x');
    f.release = std::string(500, ' ');
    for (const std::string& text : {doctor_text(f), doctor_text(refused(refusals[0])), doctor()}) {
      CHECK(text.ends_with("\n"));
      CHECK(std::count(text.begin(), text.end(), '\n') >= 15);
      CHECK(std::all_of(text.begin(), text.end(),
                        [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) {
        CHECK_MESSAGE(line.size() <= 100, line);
        CHECK_MESSAGE(!line.ends_with(' '), line);
        CHECK_MESSAGE(line.size() > 16, line);
      }
    }
  }

  TEST_CASE("sysctl and seccomp are read where the proc file system is") {
    const tests::temporary_directory proc;
    std::filesystem::create_directories(proc / "sys/kernel");
    std::filesystem::create_directories(proc / "self/fd");
    // No more than names are looked at; the directory that is open while they are counts as one.
    for (const char* const name : {"0", "1", "2", "3"})
      tests::write_file(proc / "self/fd" / name, "");
    tests::write_file(proc / "sys/kernel/io_uring_disabled", "1\n");
    tests::write_file(proc / "sys/kernel/io_uring_group", "1000\n");
    tests::write_file(proc / "self/status",
                      "Name:\tSeccomp: 9\nGroups:\t" + std::string(10'000, '1') +
                          "\nThreads:\t12\nNoNewPrivs:\t1\nSeccomp_filters:\t4\nSeccomp:\t2\n");
    const host_findings f = detail::look_at_host(proc.path());
    CHECK(f.uring_disabled.value == 1);
    CHECK(f.uring_group.value == 1000);
    CHECK(f.threads.value == 12);
    CHECK(f.no_new_privs.value == 1);
    CHECK(f.seccomp.value == 2);
    CHECK(f.seccomp_filters.value == 4);
    CHECK(f.descriptors_open == 3);
  }

  TEST_CASE("files of proc that are missing or hold no number are findings, too") {
    const tests::temporary_directory proc;
    host_findings f = detail::look_at_host(proc.path());
    CHECK(!f.uring_disabled.value);
    CHECK(f.uring_disabled.error == ENOENT);
    CHECK(f.seccomp.error == ENOENT);
    CHECK(!f.descriptors_open);

    std::filesystem::create_directories(proc / "sys/kernel/io_uring_group");
    std::filesystem::create_directories(proc / "self");
    tests::write_file(proc / "sys/kernel/io_uring_disabled", "no number");
    tests::write_file(proc / "self/status", "Seccomp:");
    f = detail::look_at_host(proc.path());
    CHECK(!f.uring_disabled.value);
    CHECK(f.uring_disabled.error == EINVAL);
    CHECK(f.uring_group.error == EISDIR);
    CHECK(f.seccomp.error == EINVAL);
    CHECK(f.no_new_privs.error == ENOENT);
  }

  TEST_CASE("on this machine it says which kernel is used, and nothing is missing to a ring") {
    const std::string text = doctor_after([] { return true; });
    REQUIRE(text != "");
    CHECK(row(text, "WEFT_KERNEL") == "not set");
    if (a_ring_opens()) {
      CHECK(row(text, "weft uses") == "io_uring");
      CHECK(contains(row(text, "io_uring"), "opens, with CQSIZE CLAMP SUBMIT_ALL"));
      const host_findings f = detail::look_at_host("/proc");
      CHECK(f.ring.operations.size() == detail::operations_needed.size());
      for (const auto* parts : {&f.ring.flags, &f.ring.features})
        for (const detail::ring_part& part : *parts) CHECK((part.found || !part.needed));
    } else {
      CHECK(row(text, "weft uses") == "epoll and helper threads");
    }
    const std::string asked = doctor_after([] { return ::setenv("WEFT_KERNEL", "epoll", 1) == 0; });
    CHECK(row(asked, "weft uses") == "epoll and helper threads");
  }

  TEST_CASE("a seccomp filter that refuses io_uring is found out") {
    for (const int error : {EPERM, ENOSYS}) {
      CAPTURE(error);
      const std::string text =
          doctor_after([error] { return filter_call(SYS_io_uring_setup, error); });
      CHECK(row(text, "weft uses") == "epoll and helper threads");
      CHECK(contains(row(text, "because"), detail::errno_name(error)));
      CHECK(contains(row(text, "because"), "a seccomp filter is active"));
      CHECK(contains(row(text, "seccomp"), "NoNewPrivs: 1"));
      CHECK(contains(row(text, "ring features"), "not known"));
    }
    const std::string text = doctor_after([] { return filter_call(SYS_epoll_pwait2, ENOSYS); });
    CHECK(row(text, "system calls") == "found: openat2 preadv2; missing: epoll_pwait2 (ENOSYS)");
  }

  TEST_CASE("where no descriptor can be had it still tells what it can") {
    // By filters, not by RLIMIT_NOFILE: the undefined-behaviour sanitizer opens pipes of its own.
    const std::string text = doctor_after(
        [] { return filter_call(SYS_io_uring_setup, EMFILE) && filter_call(SYS_openat, EMFILE); });
    CHECK(row(text, "weft uses") == "nothing: it does not start here");
    CHECK(contains(row(text, "because"), "EMFILE"));
    CHECK(contains(row(text, "sysctl"), "not readable (EMFILE)"));
    CHECK(contains(row(text, "seccomp"), "Seccomp: not readable (EMFILE)"));
    CHECK(contains(row(text, "descriptors"), "open not known, soft "));
  }
}

}  // namespace doctor_test

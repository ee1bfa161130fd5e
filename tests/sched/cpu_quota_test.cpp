// SPDX-License-Identifier: MIT
#include "weft/sched/detail/cpu_quota.hpp"

#include "support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace cpu_quota_test {

using weft::tests::temporary_directory;
using weft::tests::write_file;

namespace {

constexpr unsigned most = 8;

/// A tree of control groups as the kernel shows it.
class groups {
public:
  explicit groups(const std::string& of_this_process) {
    write_file(dir_ / "cgroup", of_this_process);
  }
  groups& quota(const std::string& group, const std::string& text) {
    std::filesystem::create_directories(mount() + group);
    write_file(mount() + group + "/cpu.max", text);
    return *this;
  }
  unsigned cores() const {
    return weft::detail::cores_in_quota(most, (dir_ / "cgroup").string(), mount());
  }

private:
  std::string mount() const { return (dir_ / "mount").string(); }

  temporary_directory dir_;
};

unsigned cores_with(const std::string& quota) {
  return groups("0::/job\n").quota("/job", quota).cores();
}

}  // namespace

TEST_SUITE("sched/cpu_quota") {
  TEST_CASE("a quota is as many cores as it pays for, a part of one rounded up") {
    CHECK(cores_with("200000 100000\n") == 2);
    CHECK(cores_with("150000 100000\n") == 2);
    CHECK(cores_with("100001 100000\n") == 2);
    CHECK(cores_with("100000 100000\n") == 1);
    CHECK(cores_with("1000 100000\n") == 1);
    CHECK(cores_with("25000 50000") == 1);
    CHECK(cores_with("150000 50000") == 3);
  }

  TEST_CASE("a quota of more than the cores that there are limits nothing") {
    CHECK(cores_with("max 100000\n") == most);
    CHECK(cores_with("800000 100000\n") == most);
    CHECK(cores_with("800001 100000\n") == most);
    CHECK(cores_with("99999999999999999999 1\n") == most);
  }

  TEST_CASE("of nested groups the smallest quota wins, wherever it stands") {
    const auto nested = [](const char* root, const char* outer, const char* inner) {
      return groups("0::/outer/inner\n")
          .quota("", root)
          .quota("/outer", outer)
          .quota("/outer/inner", inner)
          .cores();
    };
    CHECK(nested("max 100000", "300000 100000", "500000 100000") == 3);
    CHECK(nested("max 100000", "500000 100000", "300000 100000") == 3);
    CHECK(nested("max 100000", "300000 100000", "max 100000") == 3);
    CHECK(nested("200000 100000", "300000 100000", "max 100000") == 2);
    CHECK(nested("max 100000", "max 100000", "max 100000") == most);
  }

  TEST_CASE("groups beside the way to the root limit nothing") {
    CHECK(groups("0::/job\n").quota("/other", "100000 100000").cores() == most);
    CHECK(groups("0::/job\n").quota("/job/below", "100000 100000").cores() == most);
  }

  TEST_CASE("a process in the root of what it sees is under the root's quota") {
    CHECK(groups("0::/\n").quota("", "300000 100000").cores() == 3);
  }

  TEST_CASE("the version 2 group is found between those of version 1") {
    const std::string mixed = "5:memory:/old\n4:cpu,cpuacct:/old\n0::/new\n";
    CHECK(groups(mixed).quota("/old", "100000 100000").quota("/new", "400000 100000").cores() == 4);
    CHECK(groups("4:cpu,cpuacct:/old\n").quota("/old", "100000 100000").cores() == most);
  }

  TEST_CASE("files that are missing or make no sense limit nothing") {
    for (const char* text : {"", "\n", "100000", "100000 \n", "many few\n", "0 100000", "100000 0",
                             "-100000 100000", "100000 -100000", "\1\2\3"}) {
      CAPTURE(text);
      CHECK(cores_with(text) == most);
    }
    for (const char* text : {"", "\n", "0::", "0::work\n", "::/job\n", "0:/job\n"}) {
      CAPTURE(text);
      CHECK(groups(text).quota("/job", "100000 100000").cores() == most);
    }
    CHECK(groups("0::/job\n").cores() == most);
    CHECK(weft::detail::cores_in_quota(most, "/nonexistent/cgroup", "/nonexistent") == most);
  }
}

}  // namespace cpu_quota_test

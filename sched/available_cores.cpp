// SPDX-License-Identifier: MIT
#include "weft/sched/run_options.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <sched.h>

namespace weft {

namespace {

unsigned cores_in_affinity_mask() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT(&set));
}

/// cpu.max holds "max 100000" or "QUOTA PERIOD" in microseconds.
unsigned cores_in_quota(const std::string& file, unsigned most) {
  std::ifstream in(file);
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return most;
  const double cores = quota / period;
  return cores >= most ? most : static_cast<unsigned>(cores + 0.999);
}

/// The smallest quota on the way from this process's cgroup (version 2) up to the root.
unsigned cores_in_cgroup(unsigned most) {
  std::ifstream in("/proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("0::/")) continue;
    std::string path = line.substr(3);
    for (;;) {
      most = cores_in_quota("/sys/fs/cgroup" + path + "/cpu.max", most);
      const std::size_t slash = path.rfind('/');
      if (path.empty() || slash == std::string::npos) return most;
      path.resize(slash);
    }
  }
  return most;
}

}  // namespace

unsigned available_cores() noexcept {
  unsigned cores = std::max(1U, cores_in_affinity_mask());
  try {
    cores = std::max(1U, cores_in_cgroup(cores));
  } catch (...) {
    // Without memory to read the quota the affinity mask has to do.
  }
  return cores;
}

}  // namespace weft

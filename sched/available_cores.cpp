// SPDX-License-Identifier: MIT
#include "weft/sched/detail/cpu_quota.hpp"
#include "weft/sched/run_options.hpp"

#include <algorithm>
#include <thread>

#include <sched.h>

namespace weft {

namespace {

unsigned cores_in_affinity_mask() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT(&set));
}

}  // namespace

unsigned available_cores() noexcept {
  const unsigned cores = std::max(1U, cores_in_affinity_mask());
  try {
    return detail::cores_in_quota(cores, "/proc/self/cgroup", "/sys/fs/cgroup");
  } catch (...) {
    return cores;  // without memory to read the quota the affinity mask has to do
  }
}

}  // namespace weft

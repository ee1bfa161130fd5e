// SPDX-License-Identifier: MIT
#include "weft/sched/detail/cpu_quota.hpp"

#include <cmath>
#include <fstream>

namespace weft::detail {

namespace {

/// cpu.max holds "max PERIOD" or "QUOTA PERIOD" in microseconds.
unsigned cores_in_file(unsigned most, const std::string& file) {
  std::ifstream in(file);
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return most;
  const double cores = std::ceil(quota / period);
  return cores >= most ? most : static_cast<unsigned>(cores);
}

}  // namespace

unsigned cores_in_quota(unsigned most, const std::string& groups, const std::string& mount) {
  std::ifstream in(groups);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("0::/")) continue;
    std::string path = line.substr(3);
    for (;;) {
      most = cores_in_file(most, mount + path + "/cpu.max");
      const std::size_t slash = path.rfind('/');
      if (slash == std::string::npos) return most;
      path.resize(slash);
    }
  }
  return most;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/core_distances.hpp"

#ifdef WEFT_HWLOC
#include <algorithm>
#include <functional>
#include <memory>

#include <hwloc.h>
#endif

namespace weft::detail {

#ifdef WEFT_HWLOC

namespace {

struct destroy_topology {
  void operator()(hwloc_topology_t t) const noexcept { hwloc_topology_destroy(t); }
};
using topology = std::unique_ptr<hwloc_topology, destroy_topology>;

/// Null where hwloc cannot tell.
topology load() {
  hwloc_topology_t opened = nullptr;
  if (hwloc_topology_init(&opened) != 0) return nullptr;
  topology t(opened);
  // What brings no structure, and what is no core, cache or memory, is left out.
  if (hwloc_topology_set_all_types_filter(t.get(), HWLOC_TYPE_FILTER_KEEP_STRUCTURE) != 0 ||
      hwloc_topology_set_io_types_filter(t.get(), HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
      hwloc_topology_load(t.get()) != 0)
    return nullptr;
  return t;
}

std::vector<hwloc_obj_t> cores_of(hwloc_topology_t t) {
  std::vector<hwloc_obj_t> cores;
  for (hwloc_obj_t core = nullptr;
       (core = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PU, core)) != nullptr;)
    cores.push_back(core);
  return cores;
}

}  // namespace

core_distances core_distances::read() {
  // A pair takes a byte.
  constexpr std::size_t cores_max = 2048;
  const topology t = load();
  if (t == nullptr) return {};
  const std::vector<hwloc_obj_t> cores = cores_of(t.get());
  std::size_t count = 0;
  for (const hwloc_obj_t core : cores) count = std::max(count, std::size_t{core->os_index} + 1);
  if (count > cores_max) return {};

  // The smallest thing that two have in common, a cache or a node, says how near they are: the
  // deeper it lies in the tree the nearer.
  const auto depth_of = [&](hwloc_obj_t a, hwloc_obj_t b) {
    return hwloc_get_common_ancestor_obj(t.get(), a, b)->depth;
  };
  std::vector<int> depths;  // the deepest first
  for (const hwloc_obj_t a : cores) {
    for (const hwloc_obj_t b : cores) {
      if (a == b) continue;
      const int depth = depth_of(a, b);
      if (std::find(depths.begin(), depths.end(), depth) == depths.end()) depths.push_back(depth);
    }
  }
  std::sort(depths.begin(), depths.end(), std::greater<>());
  core_distances distances;
  if (depths.size() < 2) return distances;
  distances.levels_ = static_cast<unsigned>(depths.size());
  distances.cores_ = count;
  distances.level_.assign(count * count, static_cast<std::uint8_t>(depths.size() - 1));
  for (const hwloc_obj_t a : cores) {
    for (const hwloc_obj_t b : cores) {
      const auto at =
          a == b ? depths.begin() : std::find(depths.begin(), depths.end(), depth_of(a, b));
      distances.level_[a->os_index * count + b->os_index] =
          static_cast<std::uint8_t>(at - depths.begin());
    }
  }
  return distances;
}

#else

core_distances core_distances::read() { return {}; }

#endif

const core_distances& core_distances::of_machine() {
  static const core_distances distances = read();
  return distances;
}

}  // namespace weft::detail

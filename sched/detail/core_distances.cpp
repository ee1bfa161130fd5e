// SPDX-License-Identifier: MIT
#include "weft/sched/detail/core_distances.hpp"

#ifdef WEFT_HWLOC
#include <algorithm>
#include <functional>
#include <memory>

#include <dlfcn.h>
#include <hwloc.h>
#endif

namespace weft::detail {

#ifdef WEFT_HWLOC

namespace {

/// What is called of hwloc, as it is found on this machine at run time: who links weft statically
/// needs none of it.
struct library {
  library() noexcept {
    void* const handle = dlopen("libhwloc.so.15", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return;
    complete = find(handle, "hwloc_topology_init", init) &&
               find(handle, "hwloc_topology_set_all_types_filter", filter_all) &&
               find(handle, "hwloc_topology_set_io_types_filter", filter_io) &&
               find(handle, "hwloc_topology_load", load) &&
               find(handle, "hwloc_topology_destroy", destroy) &&
               find(handle, "hwloc_get_type_depth", type_depth) &&
               find(handle, "hwloc_get_obj_by_depth", object_at);
  }

  template <class F>
  static bool find(void* handle, const char* name, F*& function) noexcept {
    function = reinterpret_cast<F*>(dlsym(handle, name));
    return function != nullptr;
  }

  decltype(hwloc_topology_init)* init = nullptr;
  decltype(hwloc_topology_set_all_types_filter)* filter_all = nullptr;
  decltype(hwloc_topology_set_io_types_filter)* filter_io = nullptr;
  decltype(hwloc_topology_load)* load = nullptr;
  decltype(hwloc_topology_destroy)* destroy = nullptr;
  decltype(hwloc_get_type_depth)* type_depth = nullptr;
  decltype(hwloc_get_obj_by_depth)* object_at = nullptr;
  bool complete = false;
};

const library& hwloc() noexcept {
  static const library found;
  return found;
}

struct destroy_topology {
  void operator()(hwloc_topology_t t) const noexcept { hwloc().destroy(t); }
};
using topology = std::unique_ptr<hwloc_topology, destroy_topology>;

/// Null where hwloc is not there or cannot tell.
topology load() {
  hwloc_topology_t opened = nullptr;
  if (!hwloc().complete || hwloc().init(&opened) != 0) return nullptr;
  topology t(opened);
  // What brings no structure, and what is no core, cache or memory, is left out.
  if (hwloc().filter_all(t.get(), HWLOC_TYPE_FILTER_KEEP_STRUCTURE) != 0 ||
      hwloc().filter_io(t.get(), HWLOC_TYPE_FILTER_KEEP_NONE) != 0 || hwloc().load(t.get()) != 0)
    return nullptr;
  return t;
}

std::vector<hwloc_obj_t> cores_of(hwloc_topology_t t) {
  std::vector<hwloc_obj_t> cores;
  const int depth = hwloc().type_depth(t, HWLOC_OBJ_PU);
  for (hwloc_obj_t core = hwloc().object_at(t, depth, 0); core != nullptr; core = core->next_cousin)
    cores.push_back(core);
  return cores;
}

/// Of the smallest thing that two have in common, a cache or a node: the deeper it lies in the tree
/// the nearer they are.
int common_depth(hwloc_obj_t a, hwloc_obj_t b) noexcept {
  while (a != b) {
    if (a->depth >= b->depth)
      a = a->parent;
    else
      b = b->parent;
  }
  return a->depth;
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

  std::vector<int> depths;  // the deepest first
  for (const hwloc_obj_t a : cores) {
    for (const hwloc_obj_t b : cores) {
      if (a == b) continue;
      const int depth = common_depth(a, b);
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
          a == b ? depths.begin() : std::find(depths.begin(), depths.end(), common_depth(a, b));
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

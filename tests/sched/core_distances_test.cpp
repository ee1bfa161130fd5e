// SPDX-License-Identifier: MIT
// What thieves take for near, and whom they ask first, on machines that hwloc pretends to see. Not
// run where weft is built without hwloc: all cores are equally near then.
#include "weft/sched/detail/core_distances.hpp"

#include "weft/sched/detail/nearest_first.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

namespace core_distances_test {

using weft::detail::core_distances;

namespace {

core_distances read_as(const char* machine) {
  ::setenv("HWLOC_SYNTHETIC", machine, 1);
  const core_distances distances = core_distances::read();
  ::unsetenv("HWLOC_SYNTHETIC");
  return distances;
}

/// A worker on a core of its own.
struct seat {
  unsigned random() const noexcept { return begin_with; }
  int core() const noexcept { return on; }

  int on;
  unsigned last_victim = 0;
  unsigned begin_with = 0;
};

std::vector<std::unique_ptr<seat>> seats(int count) {
  std::vector<std::unique_ptr<seat>> all;
  for (int i = 0; i < count; ++i) all.push_back(std::make_unique<seat>(seat{.on = i}));
  return all;
}

/// The cores of those whom `thief` asks, in order. Nobody has anything.
std::vector<int> asked(const std::vector<std::unique_ptr<seat>>& all, seat& thief,
                       const core_distances& cores) {
  std::vector<int> order;
  const auto nothing = [&](seat& victim) -> seat* {
    order.push_back(victim.on);
    return nullptr;
  };
  CHECK(weft::detail::nearest_first<seat>(all, thief, cores, nothing) == nullptr);
  return order;
}

}  // namespace

TEST_SUITE("sched/core_distances") {
  TEST_CASE("where nothing is known all cores are equally near") {
    const core_distances distances;
    CHECK(distances.levels() == 1);
    CHECK(distances.between(0, 1) == 0);
    CHECK(distances.between(-1, 5000) == 0);
  }

  TEST_CASE("cores that share all caches are equally near") {
    CHECK(read_as("l3:1 core:8 pu:1").levels() == 1);
  }

  TEST_CASE("a cache that is shared is nearer than a node, a node than another one") {
    const core_distances distances = read_as("node:2 l3:2 core:2 pu:1");
    REQUIRE(distances.levels() == 3);
    CHECK(distances.between(0, 0) == 0);
    CHECK(distances.between(0, 1) == 0);
    CHECK(distances.between(1, 0) == 0);
    CHECK(distances.between(0, 2) == 1);
    CHECK(distances.between(3, 1) == 1);
    CHECK(distances.between(0, 4) == 2);
    CHECK(distances.between(7, 3) == 2);
    CHECK(distances.between(7, 6) == 0);
  }

  TEST_CASE("a core that is not known is far") {
    const core_distances distances = read_as("node:2 core:2 pu:2");
    CHECK(distances.between(0, 8) == distances.levels() - 1);
    CHECK(distances.between(-1, 0) == distances.levels() - 1);
  }

  TEST_CASE("a thief asks its last victim, then those near it, then the others") {
    const core_distances cores = read_as("node:2 l3:2 core:2 pu:1");
    const auto all = seats(8);
    seat& thief = *all[2];
    thief.last_victim = 6;
    CHECK(asked(all, thief, cores) == std::vector{6, 3, 0, 1, 4, 5, 7});
    thief.begin_with = 5;
    CHECK(asked(all, thief, cores) == std::vector{6, 3, 0, 1, 5, 7, 4});
  }

  TEST_CASE("a thief that is its own last victim asks each of the others once, from any on") {
    const auto all = seats(5);
    std::set<int> first;
    for (unsigned i = 0; i < 20; ++i) {
      all[0]->begin_with = i;
      const std::vector<int> order = asked(all, *all[0], core_distances());
      CHECK(std::set(order.begin(), order.end()) == std::set{1, 2, 3, 4});
      CHECK(order.size() == 4);
      first.insert(order.front());
    }
    CHECK(first.size() == 4);
  }

  TEST_CASE("the first that has something ends the search") {
    const auto all = seats(4);
    int asked = 0;
    const auto take = [&](seat& victim) { return ++asked == 2 ? &victim : nullptr; };
    CHECK(weft::detail::nearest_first<seat>(all, *all[0], core_distances(), take) == all[2].get());
    CHECK(asked == 2);
  }

  TEST_CASE("this machine is read once") {
    const core_distances& machine = core_distances::of_machine();
    CHECK(&machine == &core_distances::of_machine());
    CHECK(machine.between(0, 0) == 0);
  }
}

}  // namespace core_distances_test

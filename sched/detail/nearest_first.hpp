// SPDX-License-Identifier: MIT
#pragma once
// The order in which a thief asks the other workers.

#include "weft/sched/detail/core_distances.hpp"

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>

namespace weft::detail {

/// What nearest_first() asks of the workers.
template <class Seat>
concept stealing_seat = requires(Seat& s) {
  { s.last_victim } -> std::convertible_to<unsigned>;  // where there was work there may be more
  { s.random() } -> std::convertible_to<unsigned>;
  { s.core() } -> std::convertible_to<int>;  // where its thread was a moment ago
};

/// The first thing that `take(victim)` gives, or null. Whoever had some the last time is asked
/// first, then the nearest ones, from a random one on, so that thieves spread out.
template <stealing_seat Seat, class Take>
auto nearest_first(std::span<const std::unique_ptr<Seat>> seats, Seat& thief,
                   const core_distances& cores, Take take) noexcept -> decltype(take(thief)) {
  Seat& last = *seats[thief.last_victim];
  if (&last != &thief)
    if (const auto taken = take(last)) return taken;
  const int here = thief.core();
  const std::size_t start = thief.random() % seats.size();
  for (unsigned distance = 0; distance < cores.levels(); ++distance) {
    for (std::size_t i = 0; i < seats.size(); ++i) {
      Seat& victim = *seats[(start + i) % seats.size()];
      if (&victim == &thief || &victim == &last) continue;
      if (cores.between(here, victim.core()) != distance) continue;
      if (const auto taken = take(victim)) return taken;
    }
  }
  return nullptr;
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once

// The places at which code under test touches its atomics, known by their source location, and the
// mutations that give one of them a weaker memory order.

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weft::explore {

enum class access : std::uint8_t { load, store, rmw };

/// A place in the code under test that touches an atomic.
struct site {
  std::source_location where;
  access what;
  std::memory_order order;
  unsigned nth;  // among the sites of the same function, access and order, from 0
  /// "steal load seq_cst #0"
  std::string name() const;
};

/// One site with another memory order than the code says.
struct mutation {
  site at;
  std::memory_order order;
  /// "steal load seq_cst #0 -> acquire"
  std::string name() const;
};

/// All ways to give one of the sites a weaker order that its kind of access can have.
std::vector<mutation> weakenings(const std::vector<site>& sites);

std::string_view order_name(std::memory_order order);

/// The name of the function alone, without its parameters and what it belongs to.
std::string_view function_name(const std::source_location& where);

bool same_place(const std::source_location& a, const std::source_location& b);

}  // namespace weft::explore

// SPDX-License-Identifier: MIT
#include "rules.hpp"

namespace weft::explore {

namespace {

std::string_view dropped;

}  // namespace

[[gnu::weak]] std::vector<std::string_view> all_rules() { return {}; }

std::vector<std::string_view> rules_of(std::string_view part) {
  std::vector<std::string_view> all = all_rules();
  std::erase_if(all, [&](std::string_view rule) {
    return !rule.starts_with(part) || !rule.substr(part.size()).starts_with(": ");
  });
  return all;
}

bool holds(std::string_view rule) noexcept { return rule != dropped; }

dropped_rule::dropped_rule(std::string_view rule) noexcept { dropped = rule; }

dropped_rule::~dropped_rule() { dropped = {}; }

}  // namespace weft::explore

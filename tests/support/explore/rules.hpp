// SPDX-License-Identifier: MIT
#pragma once

// Rules of the code under test that a test drops, to see that this is noticed. The sources as they
// are know nothing of it: break_rules.py makes copies in which each rule asks whether it holds.

#include <string_view>
#include <vector>

namespace weft::explore {

/// The rules that the copies ask for; none where the sources are as they are.
std::vector<std::string_view> all_rules();

/// Those of one part: their names begin with it and a colon.
std::vector<std::string_view> rules_of(std::string_view part);

/// Asked in such copies: whether the rule of this name holds.
bool holds(std::string_view rule) noexcept;

/// Drops one rule for as long as it lives. `rule` outlives it.
class dropped_rule {
public:
  explicit dropped_rule(std::string_view rule) noexcept;
  dropped_rule(const dropped_rule&) = delete;
  dropped_rule& operator=(const dropped_rule&) = delete;
  ~dropped_rule();
};

}  // namespace weft::explore

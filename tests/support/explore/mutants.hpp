// SPDX-License-Identifier: MIT
#pragma once

// Whether weak memory orders are noticed: every access of the code under test is given each weaker
// order in turn, and some exploration has to fail. An order that the explorer cannot show to be
// needed is excused by name, with the reason; an excuse that no longer holds is a defect as well.

#include "engine.hpp"

#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::explore {

/// An order that could be weaker without the explorer noticing, and why it is what it is.
struct excuse {
  std::string_view weakened;  // the beginning of a mutation's name: stands for all that begin so
  std::string_view why;
};

/// A scenario and how far it is explored.
struct exploration {
  options how;
  std::function<void(scenario&)> set_up;
};

/// One that is short; with WEFT_TEST_LONG=1 it has twenty times as many random executions.
exploration explored(const char* name, std::function<void(scenario&)> set_up, unsigned preemptions);

struct verdict {
  unsigned noticed = 0;            // mutations that made some exploration fail
  std::vector<std::string> wrong;  // those that went unnoticed, or were excused and noticed
  std::string text() const;        // one line each
};

/// Weakens each order of the sites in files whose path ends in one of `files`, and explores.
verdict weaken_each(std::span<const exploration> explorations,
                    std::initializer_list<std::string_view> files, std::span<const excuse> excuses);

/// Drops each rule of a part of the library (rules.hpp), and explores.
verdict drop_each(std::span<const exploration> explorations, std::string_view part,
                  std::span<const excuse> excuses);

}  // namespace weft::explore

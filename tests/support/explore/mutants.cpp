// SPDX-License-Identifier: MIT
#include "mutants.hpp"

#include "rules.hpp"
#include "support/long_tests.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace weft::explore {

namespace {

// A short look is enough to come by every site.
std::vector<site> sites_of(std::span<const exploration> explorations,
                           std::initializer_list<std::string_view> files) {
  std::vector<site> all;
  for (const exploration& e : explorations) {
    options how = e.how;
    how.preemptions = 1;
    how.random_executions = 0;
    for (const site& s : run(how, e.set_up).sites) {
      const std::string_view file = s.where.file_name();
      const bool wanted = std::any_of(files.begin(), files.end(),
                                      [&](std::string_view f) { return file.ends_with(f); });
      const bool known = std::any_of(all.begin(), all.end(), [&](const site& other) {
        return same_place(other.where, s.where);
      });
      if (wanted && !known) all.push_back(s);
    }
  }
  return all;
}

bool is_excused(std::string_view weakened, std::span<const excuse> excuses) {
  return std::any_of(excuses.begin(), excuses.end(),
                     [&](const excuse& e) { return weakened.starts_with(e.weakened); });
}

bool fails(const std::optional<mutation>& m, std::span<const exploration> explorations,
           unsigned preemptions_max, unsigned fewer) {
  return std::any_of(explorations.begin(), explorations.end(), [&](const exploration& e) {
    options how = e.how;
    how.random_executions = 0;
    how.mutate = m;
    how.preemptions -= std::min(how.preemptions, fewer);
    how.preemptions = std::min(how.preemptions, preemptions_max);
    how.stale_reads = std::min(how.stale_reads, preemptions_max);
    return run(how, e.set_up).failed;
  });
}

// Most mutants need one preemption, in some exploration: a short look at all of them comes first.
// An exploration that finds nothing goes to its end: where none is expected to find anything, a
// shorter one.
bool is_noticed(const std::optional<mutation>& m, std::span<const exploration> explorations,
                bool excused) {
  return fails(m, explorations, 1, 0) || fails(m, explorations, ~0U, excused ? 1 : 0);
}

void judge(verdict& v, const std::string& mutant, const std::optional<mutation>& m,
           std::span<const exploration> explorations, std::span<const excuse> excuses) {
  const bool excused = is_excused(mutant, excuses);
  const bool noticed = is_noticed(m, explorations, excused);
  if (noticed) ++v.noticed;
  if (noticed == excused)
    v.wrong.push_back(mutant + (excused ? ": excused, but noticed" : ": not noticed"));
}

}  // namespace

std::string verdict::text() const {
  std::string lines;
  for (const std::string& w : wrong) lines += w + "\n";
  return lines;
}

exploration explored(const char* name, std::function<void(scenario&)> set_up,
                     unsigned preemptions) {
  return {{.name = name,
           .preemptions = preemptions,
           .stale_reads = 1,
           .random_executions = static_cast<std::uint64_t>(tests::repetitions(1'000, 20'000))},
          std::move(set_up)};
}

verdict weaken_each(std::span<const exploration> explorations,
                    std::initializer_list<std::string_view> files,
                    std::span<const excuse> excuses) {
  verdict v;
  for (const mutation& m : weakenings(sites_of(explorations, files))) {
    judge(v, m.name(), m, explorations, excuses);
  }
  return v;
}

verdict drop_each(std::span<const exploration> explorations, std::string_view part,
                  std::span<const excuse> excuses) {
  verdict v;
  for (const std::string_view rule : rules_of(part)) {
    const dropped_rule without(rule);
    judge(v, std::string(rule), {}, explorations, excuses);
  }
  return v;
}

}  // namespace weft::explore

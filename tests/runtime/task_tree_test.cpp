// SPDX-License-Identifier: MIT
// Who awaits whom is followed through everything that stands between two tasks: the frames of the
// library are left out, and every line of the user's is there, from the outside inwards.
#include "weft/runtime/task_tree.hpp"

#include "support/both_schedulers.hpp"
#include "weft/runtime/as_completed.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/async_generator.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/finally.hpp"
#include "weft/runtime/merge.hpp"
#include "weft/runtime/pipeline.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/dump_tasks.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_tree_test {

using namespace weft;
using namespace std::chrono_literals;
using tests::on_both;

namespace {

std::string at(const char* function, unsigned line) {
  return function + (":" + std::to_string(line));
}

/// A line of the tree, "│  └─ function (file:line): waits for ...", taken apart.
struct shown {
  std::size_t depth;
  std::string frame;  // function:line; or what is said of a wait without a frame
};

shown take_apart(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" │├└─");  // their bytes occur in no text
  if (begin == std::string_view::npos) return {0, {}};
  std::size_t columns = 0;
  for (const char c : line.substr(0, begin)) columns += (c & 0xc0) != 0x80 ? 1 : 0;
  line.remove_prefix(begin);
  const std::string_view file = "task_tree_test.cpp:";
  const std::size_t named = line.find(file);
  if (named == std::string_view::npos)
    return {columns / 3, std::string(line.substr(0, line.find(':')))};
  std::string_view function = line.substr(0, line.rfind(" (", named));
  if (const std::size_t scope = function.rfind("::"); scope != std::string_view::npos)
    function.remove_prefix(scope + 2);
  const std::string_view number = line.substr(named + file.size());
  return {columns / 3,
          std::string(function) + ":" + std::string(number.substr(0, number.find(')')))};
}

std::string joined(const std::vector<std::string>& frames) {
  std::string text;
  for (const std::string& frame : frames) text += (text.empty() ? "" : " > ") + frame;
  return text;
}

/// From the root to the first one who waits for `what`; empty while nobody does.
std::vector<std::string> chain_to(std::string_view text, std::string_view what) {
  std::vector<std::string> above;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    shown here = take_apart(line);
    if (here.depth > above.size()) continue;
    above.resize(here.depth);
    above.push_back(std::move(here.frame));
    if (line.find(std::string(": waits for ").append(what)) != std::string_view::npos) return above;
  }
  return {};
}

task<> look_for(const char* what, event& gate, std::vector<std::string>& found) {
  for (int i = 0; i < 1'000'000 && found.empty(); ++i) {
    found = chain_to(dump_tasks(), what);
    co_await yield();
  }
  gate.set();
}

task<> beside(task<> subject, task<> look) {
  co_await when_all(std::move(subject), std::move(look));
}

/// Runs `subject(gate)` until one of its tasks waits for `what`; those on the way there, without
/// the root of the run. Then the gate opens.
template <class Subject>
std::string seen_at(const run_options& options, Subject subject, const char* what = "event::wait") {
  event gate;
  std::vector<std::string> found;
  run(options, beside(subject(gate), look_for(what, gate, found)));
  if (!found.empty()) found.erase(found.begin());
  return joined(found);
}

// Who waits at the gate, and those who wait for them. Each stands on a line of its own.

constexpr unsigned waits_at = __LINE__ + 1;
task<> waits(event& gate) { co_await gate.wait(); }
constexpr unsigned further_at = __LINE__ + 1;
task<> further(event& gate) { co_await waits(gate); }

constexpr unsigned any_at = __LINE__ + 1;
task<> any(event& gate) { (void)co_await when_any(further(gate), sleep_for(1h)); }
constexpr unsigned any_bare_at = __LINE__ + 1;
task<> any_bare(event& gate) { (void)co_await when_any(gate.wait(), sleep_for(1h)); }
constexpr unsigned limits_at = __LINE__ + 1;
task<> limits(event& gate) { co_await with_timeout(1h, further(gate)); }
constexpr unsigned limits_bare_at = __LINE__ + 1;
task<> limits_bare(event& gate) { co_await with_timeout(1h, gate.wait()); }
constexpr unsigned shields_at = __LINE__ + 1;
task<> shields(event& gate) { co_await shield(further(gate), 1h); }
constexpr unsigned shields_bare_at = __LINE__ + 1;
task<> shields_bare(event& gate) { co_await shield(gate.wait(), 1h); }
constexpr unsigned takes_result_at = __LINE__ + 1;
task<> takes_result(event& gate) { (void)co_await as_result(further(gate)); }
constexpr unsigned nests_at = __LINE__ + 1;
task<> nests(event& gate) { (void)co_await when_any(limits(gate), shields(gate)); }

task<> nothing() { co_return; }
constexpr unsigned at_body_at = __LINE__ + 1;
task<> at_body(event& gate) { co_await finally(further(gate), &nothing, 1h); }
task<> at_cleanup(event& gate) {
  auto cleanup = std::bind_front(&further, std::ref(gate));
  co_await finally(nothing(), cleanup, 1h);
}
constexpr unsigned at_cleanup_at = __LINE__ - 2;

async_generator<int> numbers(event& gate) {
  co_yield 1;
  co_await further(gate);
  co_yield 2;
}
constexpr unsigned numbers_at = __LINE__ - 3;
task<> asks(event& gate) {
  auto source = numbers(gate);
  while (co_await source.next()) {}
}
constexpr unsigned asks_at = __LINE__ - 2;

task<int> later(event& gate, int n) {
  co_await further(gate);
  co_return n;
}
constexpr unsigned later_at = __LINE__ - 3;
task<bool> wanted(event& gate, int n) {
  co_await further(gate);
  co_return n > 0;
}
constexpr unsigned wanted_at = __LINE__ - 3;
async_generator<int> one_and_two() {
  co_yield 1;
  co_yield 2;
}

task<> pipes_source(event& gate) {
  auto twice = [](int n) { return 2 * n; };
  auto all = [](int) { return true; };
  auto forget = [](int) {};
  co_await for_each(numbers(gate) | transform(twice) | filter(all) | take(5), forget);
}
constexpr unsigned pipes_source_at = __LINE__ - 2;
task<> pipes_transform(event& gate) {
  auto slow = std::bind_front(&later, std::ref(gate));
  auto all = [](int) { return true; };
  auto forget = [](int) {};
  co_await for_each(one_and_two() | transform(slow) | filter(all), forget);
}
constexpr unsigned pipes_transform_at = __LINE__ - 2;
task<> pipes_filter(event& gate) {
  auto slow = std::bind_front(&wanted, std::ref(gate));
  auto twice = [](int n) { return 2 * n; };
  auto forget = [](int) {};
  co_await for_each(one_and_two() | filter(slow) | transform(twice), forget);
}
constexpr unsigned pipes_filter_at = __LINE__ - 2;
task<> pipes_body(event& gate) {
  auto slow = [&gate](int) { return further(gate); };
  co_await for_each(one_and_two() | take(1), slow);
}
constexpr unsigned pipes_body_at = __LINE__ - 2;
task<> merges(event& gate) {
  auto forget = [](int) {};
  co_await for_each(merge(one_and_two(), numbers(gate)), forget);
}
constexpr unsigned merges_at = __LINE__ - 2;
task<> takes_as_completed(event& gate) {
  auto first_to_end = as_completed(later(gate, 1), later(gate, 2));
  auto forget = [](int) {};
  co_await for_each(std::move(first_to_end), forget);
}
constexpr unsigned takes_as_completed_at = __LINE__ - 2;
task<> joins_in(task_group& group, event& gate) {
  const join_handle<void> child = group.spawn(further, std::ref(gate));
  co_await child;
}
constexpr unsigned joins_in_at = __LINE__ - 2;
task<> joins(event& gate) {
  auto body = [&gate](task_group& group) { return joins_in(group, gate); };
  co_await with_task_group(body);
}
constexpr unsigned joins_at = __LINE__ - 2;

/// A chain through these, and on to the gate.
std::string through(std::vector<std::string> before) {
  before.push_back(at("further", further_at));
  before.push_back(at("waits", waits_at));
  return joined(before);
}

}  // namespace

TEST_SUITE("runtime/task_tree") {
  TEST_CASE("the lines on the way to a wait are named through whatever stands between them") {
    struct subject {
      task<> (*make)(event&);
      std::string expected;
    };
    const std::vector<subject> subjects{
        {&further, through({})},
        {&any, through({at("any", any_at)})},
        {&limits, through({at("limits", limits_at)})},
        {&shields, through({at("shields", shields_at)})},
        {&takes_result, through({at("takes_result", takes_result_at)})},
        {&at_body, through({at("at_body", at_body_at)})},
        {&at_cleanup, through({at("at_cleanup", at_cleanup_at)})},
        {&asks, through({at("asks", asks_at), at("numbers", numbers_at)})},
        {&pipes_source, through({at("pipes_source", pipes_source_at), at("numbers", numbers_at)})},
        {&merges, through({at("merges", merges_at), at("numbers", numbers_at)})},
        {&takes_as_completed,
         through({at("takes_as_completed", takes_as_completed_at), at("later", later_at)})},
        {&pipes_transform,
         through({at("pipes_transform", pipes_transform_at), at("later", later_at)})},
        {&pipes_filter, through({at("pipes_filter", pipes_filter_at), at("wanted", wanted_at)})},
        {&pipes_body, through({at("pipes_body", pipes_body_at)})},
        {&joins, through({at("joins", joins_at)})},
    };
    for (const subject& s : subjects) {
      on_both([&](const run_options& options) { CHECK(seen_at(options, s.make) == s.expected); });
    }
  }

  TEST_CASE("a bare operation is shown at the line of whoever awaits it") {
    on_both([](const run_options& options) {
      CHECK(seen_at(options, &limits_bare) == at("limits_bare", limits_bare_at));
      CHECK(seen_at(options, &shields_bare) == at("shields_bare", shields_bare_at));
      CHECK(seen_at(options, &any_bare) == at("any_bare", any_bare_at) + " > one of them");
    });
  }

  TEST_CASE("combinators in each other are followed all the way") {
    on_both([](const run_options& options) {
      const std::string found = seen_at(options, &nests);
      const std::string nested = at("nests", nests_at);
      CHECK((found == through({nested, at("limits", limits_at)}) ||
             found == through({nested, at("shields", shields_at)})));
    });
  }

  TEST_CASE("who awaits a handle is shown beside the task that it is of") {
    on_both([](const run_options& options) {
      CHECK(seen_at(options, &joins, "join_handle") ==
            joined({at("joins", joins_at), at("joins_in", joins_in_at)}));
    });
  }

  TEST_CASE("the report of a deadlock names the same lines") {
    on_both([](const run_options& options) {
      for (const auto& [make, expected] :
           {std::pair{&asks, through({at("asks", asks_at), at("numbers", numbers_at)})},
            std::pair{&pipes_filter,
                      through({at("pipes_filter", pipes_filter_at), at("wanted", wanted_at)})},
            std::pair{&joins, through({at("joins", joins_at)})}}) {
        event never;
        std::string report;
        try {
          run(options, make(never));
        } catch (const deadlock& e) {
          report = e.what();
        }
        CHECK(joined(chain_to(report, "event::wait")) == expected);
      }
    });
  }
}

}  // namespace task_tree_test

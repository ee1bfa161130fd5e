// SPDX-License-Identifier: MIT
#pragma once
// From recorded spans to what a picture can show: rows of bars that can be told apart.
//
// A row is a thread as the reader sees it: lanes of the same name that follow one another (a
// program that calls run() again and again) share one. A bar is one span, or several spans that are
// narrower than the smallest distance that the picture resolves.

#include "weft/sched/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft::detail {

struct trace_row {
  std::string_view name;
  std::vector<const trace_lane*> lanes;  // in the order of time
};

struct trace_bar {
  std::int64_t begin_ns, end_ns;
  std::int64_t busy_ns;     // less than end - begin when small gaps were closed
  std::uint64_t stretches;  // more than one when spans were drawn together
  const trace_span* span;   // the longest one
};

struct trace_summary {
  std::int64_t begin_ns = 0;  // of the first span; 0 when there is none
  std::int64_t end_ns = 0;    // of the last span; 0 when there is none
  std::int64_t busy_ns = 0;   // of all rows together
  std::uint64_t dropped = 0;

  std::int64_t extent_ns() const noexcept { return end_ns - begin_ns; }
};

/// A task's number and what it is called. Ids are made on several threads: for a reader, tasks are
/// numbered from 1 in the order in which a section's lanes show them. A task that is first seen
/// without a name, or inside the library, gets the one that it shows later.
struct trace_task {
  std::size_t number;
  const char* name;  // nullptr when unknown

  std::string text() const;      // "fetch (task 3)", or "task 3"
  std::string function() const;  // "fetch", or "task 3"
};

using trace_tasks = std::unordered_map<std::uint64_t, trace_task>;

trace_tasks tasks_of(const trace_recording::section& section);

/// A sentence for below the rows.
std::string facts_text(const trace_summary& summary, std::size_t tasks, std::size_t threads);

std::vector<trace_row> rows_of(const trace_recording::section& section);

trace_summary summary_of(const trace_recording::section& section);

/// The row's bars: spans shorter than `resolution_ns` that lie closer together than that become one
/// bar, which ends as soon as it is that long. So there are at most two bars in `resolution_ns`.
std::vector<trace_bar> bars_of(const trace_row& row, std::int64_t resolution_ns);

}  // namespace weft::detail

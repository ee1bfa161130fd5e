// SPDX-License-Identifier: MIT
#include "weft/sched/detail/trace_bars.hpp"

#include <algorithm>
#include <unordered_set>

namespace weft::detail {
namespace {

bool is_empty(const trace_lane& lane) { return lane.size() == 0 && lane.dropped() == 0; }

std::int64_t begin_of(const trace_lane& lane) {
  return lane.size() != 0 ? lane[0].begin_ns : lane.dropped_begin_ns();
}

std::int64_t end_of(const trace_lane& lane) {
  return lane.dropped() != 0 ? lane.dropped_end_ns() : lane[lane.size() - 1].end_ns;
}

std::int64_t length(const trace_span& span) {
  return std::max<std::int64_t>(span.end_ns - span.begin_ns, 0);
}

bool follows(const trace_lane& lane, const trace_row& row) {
  return row.lanes.empty() || end_of(*row.lanes.back()) <= begin_of(lane);
}

}  // namespace

std::vector<trace_row> rows_of(const trace_recording::section& section) {
  std::vector<trace_row> rows;
  for (const auto& lane : section.lanes) {
    const auto belongs = [&](const trace_row& row) {
      return row.name == lane->name() && (is_empty(*lane) || follows(*lane, row));
    };
    auto row = std::find_if(rows.begin(), rows.end(), belongs);
    if (row == rows.end()) row = rows.insert(row, trace_row{lane->name(), {}});
    if (!is_empty(*lane)) row->lanes.push_back(lane.get());
  }
  return rows;
}

trace_summary summary_of(const trace_recording::section& section) {
  trace_summary summary;
  std::unordered_set<std::uint64_t> tasks;
  bool first = true;
  for (const auto& lane : section.lanes) {
    if (is_empty(*lane)) continue;
    summary.begin_ns = first ? begin_of(*lane) : std::min(summary.begin_ns, begin_of(*lane));
    summary.end_ns = first ? end_of(*lane) : std::max(summary.end_ns, end_of(*lane));
    first = false;
    summary.dropped += lane->dropped();
    for (std::size_t i = 0; i < lane->size(); ++i) {
      tasks.insert((*lane)[i].task);
      summary.busy_ns += length((*lane)[i]);
    }
  }
  summary.end_ns = std::max(summary.end_ns, summary.begin_ns);
  summary.tasks = tasks.size();
  return summary;
}

std::vector<trace_bar> bars_of(const trace_row& row, std::int64_t resolution_ns) {
  std::vector<trace_bar> bars;
  bool open = false;  // whether the last bar may take another span
  for (const trace_lane* lane : row.lanes) {
    for (std::size_t i = 0; i < lane->size(); ++i) {
      const trace_span& span = (*lane)[i];
      const std::int64_t busy = length(span);
      const bool narrow = busy < resolution_ns;
      if (open && narrow && span.begin_ns - bars.back().end_ns < resolution_ns) {
        trace_bar& bar = bars.back();
        bar.end_ns = std::max(bar.end_ns, span.end_ns);
        bar.busy_ns += busy;
        ++bar.stretches;
        if (busy > length(*bar.span)) bar.span = &span;
      } else {
        bars.push_back({span.begin_ns, span.begin_ns + busy, busy, 1, &span});
      }
      open = narrow && bars.back().end_ns - bars.back().begin_ns < resolution_ns;
    }
  }
  return bars;
}

}  // namespace weft::detail

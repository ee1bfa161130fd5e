// SPDX-License-Identifier: MIT
#include "weft/sched/detail/trace_bars.hpp"

#include "weft/sched/detail/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

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

/// False for the library's own coroutines around the user's function: they say nothing to a reader.
bool is_telling(const char* name) {
  if (name == nullptr || *name == '\0') return false;
  return !short_function_name(name).starts_with("weft::detail::");
}

bool follows(const trace_lane& lane, const trace_row& row) {
  return row.lanes.empty() || end_of(*row.lanes.back()) <= begin_of(lane);
}

}  // namespace

std::string trace_task::text() const {
  const std::string task = fmt::format("task {}", number);
  return name == nullptr ? task : fmt::format("{} ({})", function(), task);
}

std::string trace_task::function() const {
  if (name == nullptr) return fmt::format("task {}", number);
  return shortened(short_function_name(name), 48);
}

std::string facts_text(const trace_summary& summary, std::size_t tasks, std::size_t threads) {
  if (summary.end_ns == summary.begin_ns) return "No task ran.";
  const double average =
      static_cast<double>(summary.busy_ns) / static_cast<double>(summary.extent_ns());
  std::string out = fmt::format("{} task{} on {}: {} of work in {}, ", tasks, tasks == 1 ? "" : "s",
                                threads == 1 ? "one thread" : fmt::format("{} threads", threads),
                                duration_text(summary.busy_ns), duration_text(summary.extent_ns()));
  out += threads == 1
             ? fmt::format("busy {:.{}f} % of the time.", average * 100, average < 0.095 ? 1 : 0)
             : fmt::format("{:.2f} threads busy on average.", average);
  if (summary.dropped != 0) {
    fmt::format_to(std::back_inserter(out),
                   " The recording was full: {} stretches were not recorded "
                   "(hatched, not counted).",
                   summary.dropped);
  }
  return out;
}

trace_tasks tasks_of(const trace_recording::section& section) {
  trace_tasks tasks;
  for (const auto& lane : section.lanes) {
    for (std::size_t i = 0; i < lane->size(); ++i) {
      const trace_span& span = (*lane)[i];
      trace_task& task =
          tasks.try_emplace(span.task, trace_task{tasks.size() + 1, nullptr}).first->second;
      if (task.name == nullptr && is_telling(span.name)) task.name = span.name;
    }
  }
  return tasks;
}

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
  bool first = true;
  for (const auto& lane : section.lanes) {
    if (is_empty(*lane)) continue;
    summary.begin_ns = first ? begin_of(*lane) : std::min(summary.begin_ns, begin_of(*lane));
    summary.end_ns = first ? end_of(*lane) : std::max(summary.end_ns, end_of(*lane));
    first = false;
    summary.dropped += lane->dropped();
    for (std::size_t i = 0; i < lane->size(); ++i) {
      summary.busy_ns += length((*lane)[i]);
    }
  }
  summary.end_ns = std::max(summary.end_ns, summary.begin_ns);
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

// SPDX-License-Identifier: MIT
// The recording's structure, and its spans in Chrome's JSON trace event format. The picture is
// drawn in trace_svg.cpp.
#include "weft/sched/trace.hpp"

#include "weft/sched/detail/trace_bars.hpp"
#include "weft/sched/detail/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

namespace weft {
namespace {

[[noreturn]] void fail(int error, const char* doing, const std::filesystem::path& path) {
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{} {}", doing, path.native()));
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  errno = 0;
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) fail(errno, "opening", path);
  errno = 0;
  const std::size_t written = std::fwrite(content.data(), 1, content.size(), file);
  const int write_error = written == content.size() ? 0 : errno != 0 ? errno : EIO;
  errno = 0;
  // The close flushes what is still buffered, so it can be the call that finds the disk full.
  const int close_error = std::fclose(file) == 0 ? 0 : errno != 0 ? errno : EIO;
  if (write_error != 0) fail(write_error, "writing", path);
  if (close_error != 0) fail(close_error, "closing", path);
}

std::string json_text(std::string_view text) {
  std::string out;
  detail::append_json(out, text);
  return out;
}

/// Nanoseconds as the format's microseconds, digit by digit: a double loses nanoseconds after some
/// days.
std::string microseconds(std::int64_t ns) {
  const std::int64_t part = std::max<std::int64_t>(ns, 0);
  return fmt::format("{}.{:03}", part / 1000, part % 1000);
}

/// Writes the "traceEvents" of one recording, one event a line.
class event_writer {
public:
  explicit event_writer(std::int64_t origin_ns) : origin_ns_{origin_ns} {}

  void metadata(const char* what, std::size_t pid, std::size_t tid, std::string_view name) {
    line(fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":"{}"}}}})", what,
                     pid, tid, json_text(name)));
  }

  void order(const char* what, std::size_t pid, std::size_t tid) {
    line(fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"sort_index":{}}}}})",
                     what, pid, tid, tid != 0 ? tid : pid));
  }

  void span(const trace_span& s, const detail::trace_task& task, std::size_t pid, std::size_t tid) {
    std::string args = fmt::format(R"("task":{})", task.number);
    if (s.file != nullptr && *s.file != '\0') {
      fmt::format_to(std::back_inserter(args), R"(,"after":"{}:{}")", json_text(s.file), s.line);
    }
    event(task.function(), s.begin_ns, s.end_ns, pid, tid, args);
  }

  void hole(const trace_lane& lane, std::size_t pid, std::size_t tid) {
    event("not recorded", lane.dropped_begin_ns(), lane.dropped_end_ns(), pid, tid,
          fmt::format(R"("stretches":{})", lane.dropped()));
  }

  std::string finish() && {
    out_ += "\n],\"displayTimeUnit\":\"ms\"}\n";
    return std::move(out_);
  }

private:
  void event(std::string_view name, std::int64_t begin_ns, std::int64_t end_ns, std::size_t pid,
             std::size_t tid, std::string_view args) {
    line(fmt::format(
        R"({{"ph":"X","name":"{}","cat":"task","pid":{},"tid":{},"ts":{},"dur":{},"args":{{{}}}}})",
        json_text(name), pid, tid, microseconds(begin_ns - origin_ns_),
        microseconds(end_ns - begin_ns), args));
  }

  void line(std::string_view event) {
    out_ += first_ ? "\n" : ",\n";
    first_ = false;
    out_ += event;
  }

  std::int64_t origin_ns_;
  std::string out_ = "{\"traceEvents\":[";
  bool first_ = true;
};

std::int64_t earliest_ns(const std::vector<trace_recording::group>& groups) {
  std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
  for (const auto& group : groups) {
    for (const auto& section : group.sections) {
      for (const auto& lane : section.lanes) {
        if (lane->size() != 0) earliest = std::min(earliest, (*lane)[0].begin_ns);
        if (lane->dropped() != 0) earliest = std::min(earliest, lane->dropped_begin_ns());
      }
    }
  }
  return earliest;
}

}  // namespace

trace_recording::trace_recording(std::size_t spans_per_lane) : spans_per_lane_{spans_per_lane} {}

void trace_recording::begin_group(std::string title) {
  const std::lock_guard lock{mutex_};
  groups_.push_back({std::move(title), {}});
}

void trace_recording::begin_section(std::string title, std::string note) {
  const std::lock_guard lock{mutex_};
  if (groups_.empty()) groups_.emplace_back();
  groups_.back().sections.push_back({std::move(title), std::move(note), {}});
}

trace_lane& trace_recording::add_lane(std::string name) {
  const std::lock_guard lock{mutex_};
  auto lane = std::make_unique<trace_lane>(std::move(name), spans_per_lane_, lanes_++);
  auto& lanes = current_section().lanes;
  lanes.push_back(std::move(lane));
  return *lanes.back();
}

/// The section that lanes are added to; an untitled one when none was begun.
trace_recording::section& trace_recording::current_section() {
  if (groups_.empty()) groups_.emplace_back();
  auto& sections = groups_.back().sections;
  if (sections.empty()) sections.emplace_back();
  return sections.back();
}

std::string trace_recording::perfetto() const {
  const std::lock_guard lock{mutex_};
  event_writer events{earliest_ns(groups_)};
  std::size_t pid = 0;
  for (const auto& g : groups_) {
    for (const auto& s : g.sections) {
      ++pid;
      const char* separator = g.title.empty() || s.title.empty() ? "" : ": ";
      std::string title = fmt::format("{}{}{}", g.title, separator, s.title);
      events.metadata("process_name", pid, 0, title.empty() ? "weft" : title);
      events.order("process_sort_index", pid, 0);
      const detail::trace_tasks tasks = detail::tasks_of(s);
      std::size_t tid = 0;
      for (const auto& lane : s.lanes) {
        ++tid;
        events.metadata("thread_name", pid, tid, lane->name());
        events.order("thread_sort_index", pid, tid);
        for (std::size_t i = 0; i < lane->size(); ++i) {
          const trace_span& span = (*lane)[i];
          events.span(span, tasks.at(span.task), pid, tid);
        }
        if (lane->dropped() != 0) events.hole(*lane, pid, tid);
      }
    }
  }
  return std::move(events).finish();
}

void trace_recording::write_svg(const std::filesystem::path& path) const {
  write_file(path, svg());
}

void trace_recording::write_perfetto(const std::filesystem::path& path) const {
  write_file(path, perfetto());
}

}  // namespace weft

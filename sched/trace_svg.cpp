// SPDX-License-Identifier: MIT
// Draws a recording: groups of sections of rows of bars, from top to bottom.
//
// Text is set with the browser's fonts, whose widths are unknown here; lines are broken at a number
// of characters that fits with any common one. Nothing needs a script, so the file also works as an
// image in a page. The drawing's coordinates are CSS pixels at its natural width.
#include "weft/sched/detail/trace_bars.hpp"
#include "weft/sched/detail/trace_text.hpp"
#include "weft/sched/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {
namespace {

constexpr double width = 1200;
constexpr double left = 130;  // where the plots begin; lane names stand before it
constexpr double plot_width = width - left - 26;
constexpr double row_height = 22;
constexpr double row_pitch = row_height + 5;
// A section shorter than this part of its group is drawn a second time, magnified.
constexpr double magnify_below = 0.2;
constexpr std::size_t size_limit = 900'000;

constexpr std::string_view style = R"svg(<style>
text{font:13px system-ui,"Segoe UI","Helvetica Neue","DejaVu Sans",Arial,sans-serif;fill:#1f2328}
.h{font-size:20px;font-weight:600}.s{font-size:15px;font-weight:600}
tspan,.m{fill:#59636e;font-weight:400}
.a{font-size:11.5px;fill:#59636e}.e{text-anchor:end}.c{text-anchor:middle}
.bg{fill:#fff}.t{fill:#f0f2f5}.g{stroke:#d1d9e0}.z{fill:#8b949e;fill-opacity:.16}.d{fill:url(#drop)}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}tspan,.m,.a{fill:#9da7b1}.bg{fill:#0d1117}
.t{fill:#1b222b}.g{stroke:#3d444d}.z{fill:#8b949e;fill-opacity:.18}}
</style>
<defs><pattern id="drop" width="7" height="7" patternUnits="userSpaceOnUse"
 patternTransform="rotate(45)">
<path d="M0 0v7" stroke="#8b949e" stroke-width="3"/></pattern></defs>
)svg";

/// A plot's time axis: from `begin_ns` at the left edge over `extent_ns` to the right one.
struct axis {
  std::int64_t begin_ns;
  std::int64_t extent_ns;

  double x(std::int64_t ns) const {
    return static_cast<double>(ns - begin_ns) * plot_width / static_cast<double>(extent_ns);
  }
  /// 1, 2 or 5 times a power of ten, so that about eight fit.
  double step_ns() const {
    const double rough = static_cast<double>(extent_ns) / 8;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    const double digit = rough / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  }
  std::size_t ticks() const {
    return static_cast<std::size_t>(static_cast<double>(extent_ns) / step_ns()) + 1;
  }
};

/// What is drawn of a section, whatever the resolution.
struct panel {
  explicit panel(const trace_recording::section& s)
      : section{&s}, rows{detail::rows_of(s)}, summary{detail::summary_of(s)},
        tasks{detail::tasks_of(s)} {}

  const trace_recording::section* section;
  std::vector<detail::trace_row> rows;
  detail::trace_summary summary;
  detail::trace_tasks tasks;
};

struct panel_group {
  explicit panel_group(const trace_recording::group& g)
      : title{g.title}, panels(g.sections.begin(), g.sections.end()) {}

  std::string_view title;
  std::vector<panel> panels;
};

class drawing {
public:
  explicit drawing(double resolution_px) : resolution_px_{resolution_px} {}

  void draw(const panel_group& group) {
    std::int64_t extent = 0;
    for (const panel& p : group.panels) extent = std::max(extent, p.summary.extent_ns());
    if (!group.title.empty()) {
      y_ += 34;
      text(24, y_, "h", group.title);
    }
    y_ += 22;
    if (extent == 0)
      text(24, y_, "m", "Nothing was recorded.");
    else
      labels({0, extent}, y_);
    for (const panel& p : group.panels) draw(p, extent);
    y_ += 18;
  }

  std::string finish() && {
    y_ += 22;
    text(24, y_, "a",
         "A bar is a stretch for which a task ran; a colour is a task; a gap is a thread with "
         "nothing to run. Point at a bar for its name and times. Bars too narrow to be told "
         "apart are drawn as one, paler.");
    const double height = y_ + 20;
    return fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" )"
                       R"(width="{0:.0f}" height="{1:.0f}">)"
                       "\n{2}<path class=\"bg\" d=\"M0 0h{0:.0f}v{1:.0f}H0z\"/>\n{3}</svg>\n",
                       width, height, style, body_);
  }

private:
  void draw(const panel& p, std::int64_t group_extent_ns) {
    const trace_recording::section& section = *p.section;
    const detail::trace_summary& summary = p.summary;
    if (!section.title.empty()) {
      y_ += 30;
      append(R"(<text x="24" y="{:.0f}" class="s">)", y_);
      detail::append_xml(body_, section.title);
      append("<tspan class=\"m\" dx=\"10\">{}</tspan></text>\n",
             detail::duration_text(summary.extent_ns()));
    }
    y_ += 10;
    if (group_extent_ns > 0) draw_rows(p, {summary.begin_ns, group_extent_ns});
    const double share = static_cast<double>(summary.extent_ns()) /
                         static_cast<double>(std::max<std::int64_t>(group_extent_ns, 1));
    if (share > 0 && share < magnify_below) {
      zoom(share * plot_width, 1 / share);
      draw_rows(p, {summary.begin_ns, summary.extent_ns()});
      y_ += 12;
      labels({summary.begin_ns, summary.extent_ns()}, y_);
      y_ += 4;
    }
    const std::string note = section.note + (section.note.empty() ? "" : " ") +
                             detail::facts_text(p.summary, p.tasks.size(), p.rows.size());
    for (const std::string& line : detail::wrapped(note, 160)) {
      y_ += 18;
      text(24, y_, "m", line);
    }
  }

  /// The rows with their names, tracks, grid and bars; leaves y_ below them.
  void draw_rows(const panel& p, const axis& time) {
    const double top = y_;
    for (const auto& row : p.rows) {
      text(left - 10, y_ + 15.5, "e", detail::shortened(row.name, 16));
      append(R"(<path class="t" d="M{} {:.0f}h{:.0f}v{:.0f}H{}z"/>)", left, y_, plot_width,
             row_height, left);
      y_ += row_pitch;
    }
    append("<path class=\"g\" d=\"");
    for (std::size_t i = 0; i < time.ticks(); ++i) {
      append("M{:.1f} {:.0f}V{:.0f}", tick_x(time, i), top - 3, y_ - 2);
    }
    append("\"/>\n");
    double row_y = top;
    for (const auto& row : p.rows) {
      append("<g transform=\"translate({} {:.0f})\">\n", left, row_y);
      const double resolution_ns =
          static_cast<double>(time.extent_ns) * resolution_px_ / plot_width;
      for (const auto& bar :
           detail::bars_of(row, std::max<std::int64_t>(std::llround(resolution_ns), 1))) {
        draw(bar, p.tasks.at(bar.span->task), time);
      }
      for (const trace_lane* lane : row.lanes) {
        if (lane->dropped() == 0) continue;
        const double begin = time.x(lane->dropped_begin_ns());
        append(R"(<path class="d" d="M{:.1f} 0h{:.1f}v{:.0f}H{:.1f}z"/>)", begin,
               time.x(lane->dropped_end_ns()) - begin, row_height, begin);
      }
      append("</g>\n");
      row_y += row_pitch;
    }
  }

  void draw(const detail::trace_bar& bar, const detail::trace_task& task, const axis& time) {
    const double begin = time.x(bar.begin_ns);
    const double length = std::max(time.x(bar.end_ns) - begin, 1.0);  // a short one is still seen
    append("<path d=\"M{0:.1f} 0h{1:.1f}v{2:.0f}H{0:.1f}z\" fill=\"{3}\"", begin, length,
           row_height, detail::task_colour(task.number));
    if (bar.stretches > 1) {
      const double busy = static_cast<double>(bar.busy_ns) /
                          static_cast<double>(std::max<std::int64_t>(bar.end_ns - bar.begin_ns, 1));
      append(" fill-opacity=\"{:.2f}\"", std::clamp(0.3 + 0.7 * busy, 0.3, 1.0));
    }
    append("><title>");
    detail::append_xml(body_, tooltip(bar, task, time));
    append("</title></path>\n");
  }

  static std::string tooltip(const detail::trace_bar& bar, const detail::trace_task& task,
                             const axis& time) {
    const trace_span& span = *bar.span;
    const std::string at = detail::duration_text(bar.begin_ns - time.begin_ns);
    if (bar.stretches > 1) {
      return fmt::format("{} stretches, {} busy of {} at {}; longest: {}", bar.stretches,
                         detail::duration_text(bar.busy_ns),
                         detail::duration_text(bar.end_ns - bar.begin_ns), at, task.text());
    }
    std::string tip =
        fmt::format("{}: {} at {}", task.text(), detail::duration_text(bar.busy_ns), at);
    if (span.file != nullptr && *span.file != '\0') {
      const std::string_view file{span.file};
      const std::string_view base = file.substr(file.find_last_of('/') + 1);  // npos + 1 is 0
      fmt::format_to(std::back_inserter(tip), "\nafter the co_await at {}:{}",
                     detail::shortened(base, 40), span.line);
    }
    return tip;
  }

  /// A funnel from the part of the plot above, `from_width` wide, to the whole width of the one
  /// below.
  void zoom(double from_width, double factor) {
    append(R"(<path class="z" d="M{0} {1:.0f}h{2:.1f}L{3:.0f} {4:.0f}H{0}z"/>)", left, y_ - 2,
           std::max(from_width, 1.0), left + plot_width, y_ + 22);
    text(left + plot_width * 0.5, y_ + 17, "a c",
         fmt::format("magnified {:.{}f} ×", factor, factor < 9.95 ? 1 : 0));
    y_ += 26;
  }

  static double tick_x(const axis& time, std::size_t i) {
    return left + static_cast<double>(i) * time.step_ns() * plot_width /
                      static_cast<double>(time.extent_ns);
  }

  void labels(const axis& time, double y) {
    struct unit {
      double size;
      const char* name;
    };
    constexpr std::array<unit, 4> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}};
    const auto fits = [&](const unit& u) { return static_cast<double>(time.extent_ns) >= u.size; };
    const unit& u = *std::find_if(units.begin(), units.end() - 1, fits);
    const double step = time.step_ns() / u.size;
    const int digits = step < 0.999 ? static_cast<int>(std::ceil(-std::log10(step) - 1e-9)) : 0;
    for (std::size_t i = 0; i < time.ticks(); ++i) {
      text(tick_x(time, i), y, "a c",
           i == 0 ? "0" : fmt::format("{:.{}f} {}", static_cast<double>(i) * step, digits, u.name));
    }
  }

  void text(double x, double y, std::string_view classes, std::string_view content) {
    append(R"(<text x="{:.0f}" y="{:.1f}" class="{}">)", x, y, classes);
    detail::append_xml(body_, content);
    append("</text>\n");
  }

  template <class... Args>
  void append(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(body_), format, std::forward<Args>(args)...);
  }

  double resolution_px_;
  double y_ = 0;
  std::string body_;
};

}  // namespace

std::string trace_recording::svg() const {
  const std::lock_guard lock{mutex_};
  const std::vector<panel_group> parts(groups_.begin(), groups_.end());
  // A coarser resolution draws fewer bars; at the width of the plot a row is a bar or two.
  for (double resolution_px = 0.5;; resolution_px *= 2) {
    drawing picture{resolution_px};
    for (const panel_group& part : parts) picture.draw(part);
    if (parts.empty()) picture.draw(panel_group{{}});
    std::string out = std::move(picture).finish();
    if (out.size() <= size_limit || resolution_px > plot_width) return out;
  }
}

}  // namespace weft

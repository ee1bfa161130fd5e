// SPDX-License-Identifier: MIT
#pragma once
// The `.trace` option: who ran when, on which thread, as a picture and as a trace file.
//
//     weft::trace_recording recording;
//     recording.begin_section("thread pool, 2 workers");
//     weft::run({.workers = 2, .trace = &recording}, amain());
//     recording.write_svg("timeline.svg");        // opens in any browser
//     recording.write_perfetto("timeline.json");  // opens in ui.perfetto.dev and chrome://tracing
//
// A recording holds groups of sections of lanes. A lane is one worker of one run; a section is what
// is to be seen as one picture (usually one run); the sections of a group share a time axis, so
// that their lengths can be compared. Runs only add lanes; the user begins sections and groups
// between runs.

#include "weft/runtime/trace.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weft {

/// Thread:   add_lane() from any thread, each lane written by its own worker; everything else from
///           one thread while no run that was given this recording is going on. A pool's workers
///           write on for a moment after its run() has returned: destroy the pool first.
/// Lifetime: outlives every run that was given it.
/// Cost:     up to `spans_per_lane` times 48 bytes a worker and run.
class trace_recording {
public:
  struct section {
    std::string title;
    std::string note;  // a sentence that says what to see; facts are added to it
    std::vector<std::unique_ptr<trace_lane>> lanes;
  };
  struct group {
    std::string title;
    std::vector<section> sections;
  };

  explicit trace_recording(std::size_t spans_per_lane = trace_lane::default_capacity);
  trace_recording(const trace_recording&) = delete;
  trace_recording& operator=(const trace_recording&) = delete;

  /// Sections begun from now on share a time axis with each other, not with those before.
  void begin_group(std::string title);

  /// Lanes added from now on belong to this section. `note` is printed below it.
  void begin_section(std::string title, std::string note = {});

  /// A lane for a worker to write to. The reference stays valid as long as the recording.
  ///
  /// Thread:   any.
  /// Errors:   bad_alloc.
  trace_lane& add_lane(std::string name);

  /// A self-contained SVG: a lane per thread, a coloured bar per stretch that a task ran, gaps
  /// where none did. Its size is bounded (below 1 MB) however long the recording: bars too narrow
  /// to be seen apart are drawn as one, and a section much shorter than its group is drawn again,
  /// magnified.
  ///
  /// Errors:   system_error that names `path`.
  void write_svg(const std::filesystem::path& path) const;

  /// Chrome's JSON trace event format: a process per section, a thread per lane, every span as it
  /// is.
  ///
  /// Errors:   system_error that names `path`.
  void write_perfetto(const std::filesystem::path& path) const;

  /// What the two functions above write.
  std::string svg() const;
  std::string perfetto() const;

  const std::vector<group>& groups() const noexcept { return groups_; }

private:
  section& current_section();

  // Fixed after construction.
  std::size_t spans_per_lane_;

  // Under mutex_.
  mutable std::mutex mutex_;
  std::size_t lanes_ = 0;
  std::vector<group> groups_;
};

}  // namespace weft

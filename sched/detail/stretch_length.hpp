// SPDX-License-Identifier: MIT
#pragma once
// How long a worker has resumed each of its tasks, on the average since its last theft, or since it
// had nothing to run. Where that is less than a theft costs, it is dearer to take a woken task from
// another worker than to leave it there: a task that is handed to and fro, as under a mutex, drags
// its memory from core to core. Where it is more, a theft pays, and every moment before it is lost.
// Owner thread only.

#include <cstdint>

namespace weft::detail {

class stretch_length {
public:
  /// What a theft of a woken task costs both sides, about.
  static constexpr std::int64_t theft_ns = 500;

  /// A theft: from here on. `resumes`: of the worker, so far.
  void begin(std::int64_t now_ns, std::uint64_t resumes) noexcept {
    begin_ns_ = now_ns;
    before_ = until_now_ = resumes;
  }
  /// The worker looks around. When nothing was resumed since its last look it had nothing to run.
  void look(std::int64_t now_ns, std::uint64_t resumes) noexcept {
    if (resumes == until_now_) return begin(now_ns, resumes);
    until_now_ = resumes;
    brief_ = now_ns - begin_ns_ < theft_ns * static_cast<std::int64_t>(resumes - before_);
  }
  /// Whether they were shorter than a theft; also before there was any.
  bool brief() const noexcept { return brief_; }

private:
  std::int64_t begin_ns_ = 0;
  std::uint64_t before_ = 0;
  std::uint64_t until_now_ = 0;
  bool brief_ = true;
};

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// Runs one test body on an event loop and on a pool of two, and checks after each that nothing was
// left behind: no descriptor, no coroutine frame.

#include "weft/runtime/worker.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>

namespace weft::tests {

/// Descriptors that this process has open; the one that counts is counted each time.
inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Checks at its end that as many descriptors and frames exist as at its beginning.
class nothing_left_behind {
public:
  nothing_left_behind() = default;
  nothing_left_behind(const nothing_left_behind&) = delete;
  nothing_left_behind& operator=(const nothing_left_behind&) = delete;
  ~nothing_left_behind() {
    CHECK(open_descriptors() == descriptors_);
    CHECK(detail::live_frame_bytes() == frames_);
  }

private:
  std::size_t descriptors_ = open_descriptors();
  std::int64_t frames_ = detail::live_frame_bytes();
};

/// Calls `body(options)` with the options of each scheduler; the body calls run().
template <class Body>
void on_both(Body body) {
  for (const unsigned workers : {1u, 2u}) {
    CAPTURE(workers);
    const nothing_left_behind guard;
    run_options options;
    options.workers = workers;
    body(options);
  }
}

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#include "weft/sched/detail/patience.hpp"

#include "weft/sched/run_options.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <sched.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace weft::detail {

namespace {

// A spell is short when it would nearly have ended within the looks: the sleep itself adds to it.
constexpr int short_spell = 2;
// So many long ones in a row, and the next ones are slept through.
constexpr unsigned long_spells_max = 3;
// A look is some tens of nanoseconds; the clock is read and the core offered every so many.
constexpr int looks_per_clock = 8;
constexpr int looks_per_offer = 32;
// An offer that nobody takes comes back sooner. One that was taken may have cost a time slice: then
// there is no next one for so many times as long as it took, and for twice as long as the last time
// when it is taken again soon, that is, within so many times the last while.
constexpr std::int64_t taken_ns = 5'000;
constexpr std::int64_t crowded_times = 16;
constexpr std::int64_t soon_times = 8;
constexpr std::int64_t crowded_most_ns = 1'000'000'000;

/// A loop's own thread may well be bound to one core of several.
int cores_of_process() noexcept {
  cpu_set_t set;
  return sched_getaffinity(getpid(), sizeof set, &set) == 0 ? CPU_COUNT(&set) : 2;
}

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
  _mm_pause();
#endif
}

}  // namespace

std::int64_t patience_of(kernel& k, unsigned workers) noexcept {
  const std::int64_t most = k.look_before_sleep_ns();
  if (most == 0 || cores_of_process() < 2) return 0;
  return workers > 1 && workers > available_cores() ? 0 : most;
}

void patience::begin() noexcept {
  dry_ = true;
  since_ns_ = kernel_.now();
  looks_ = 0;
  looks_on_ = long_spells_ < long_spells_max && since_ns_ >= crowded_until_ns_;
}

bool patience::pause(int looks) noexcept {
  relax();
  const int before = std::exchange(looks_, looks_ + looks);
  if (looks_ / looks_per_clock == before / looks_per_clock) return true;
  const std::int64_t now = kernel_.now();
  looks_on_ = now - since_ns_ < most_ns_;
  if (!looks_on_ || looks_ / looks_per_offer == before / looks_per_offer) return looks_on_;
  std::this_thread::yield();
  const std::int64_t back = kernel_.now();
  const std::int64_t away = back - now;
  if (away < taken_ns) return true;
  looks_on_ = false;
  const std::int64_t soon = std::min(soon_times * crowded_ns_, crowded_most_ns);
  const bool again = back - crowded_until_ns_ < soon;
  crowded_ns_ = std::max(crowded_times * away, again ? 2 * crowded_ns_ : 0);
  crowded_ns_ = std::min(crowded_ns_, crowded_most_ns);
  crowded_until_ns_ = back + crowded_ns_;
  return false;
}

void patience::slept() noexcept {
  if (!dry_) return;
  dry_ = false;
  if (kernel_.now() - since_ns_ <= short_spell * most_ns_)
    long_spells_ = 0;
  else
    long_spells_ = std::min(long_spells_ + 1, long_spells_max);
}

}  // namespace weft::detail

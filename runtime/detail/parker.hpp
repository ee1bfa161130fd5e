// SPDX-License-Identifier: MIT
#pragma once

// The one word that decides, between a worker about to sleep and those who wake it, whether the
// worker's doorbell must be rung. The sleep itself is somebody else's: it returns when the doorbell
// is rung, at once when it was rung before the sleep began, and it may return for other reasons.
//
//   running     the worker is awake, nothing has been asked of it
//   parked      it sleeps, or is about to
//   + notified  somebody wants it to look again; a worker that is notified does not begin to sleep
//   + terminated  for good: it never sleeps again (set once, kept by all other transitions)
//
// R1: unpark sets notified -> prepare_park or resume takes it: what was done before the unpark (an
//     item put into the worker's inbox) is seen by the worker that goes on.
// R2: terminate sets terminated -> terminated sees it: what was done before it is seen as well.
// R3: prepare_park parks -> unpark or terminate finds it parked: the doorbell is there to be rung.
// Every transition is one read-modify-write of the same word, so a notification either comes before
// the worker's `parked` and keeps it awake, or after it and finds it: no further order is needed.

#include "weft/runtime/atomics.hpp"

#include <atomic>
#include <cstdint>

namespace weft::detail {

template <class Atomics = std_atomics>
class parker {
public:
  /// Worker: announces a sleep. False, with the notification taken, when it must not begin.
  [[nodiscard]] bool prepare_park() noexcept {
    std::uint32_t expected = running;
    if (word_.compare_exchange_strong(expected, parked, std::memory_order_release,  // sync: R3
                                      std::memory_order_relaxed)) {
      return true;
    }
    word_.fetch_and(terminated_bit, std::memory_order_acquire);  // sync: R1
    return false;
  }

  /// Worker: after each sleep that prepare_park allowed, whatever ended it.
  void resume() noexcept {
    word_.fetch_and(terminated_bit, std::memory_order_acquire);  // sync: R1
  }

  /// Anyone: makes the worker look again. True when the caller must ring its doorbell, because
  /// it sleeps or is about to and nobody else has taken that on.
  [[nodiscard]] bool unpark() noexcept {
    return word_.fetch_or(notified, std::memory_order_acq_rel) == parked;  // sync: R1, R3
  }

  /// Anyone: ends all sleeping for good. True when the caller must ring the doorbell.
  [[nodiscard]] bool terminate() noexcept {
    return word_.fetch_or(terminated_bit, std::memory_order_acq_rel) == parked;  // sync: R2, R3
  }

  [[nodiscard]] bool terminated() const noexcept {
    return (word_.load(std::memory_order_acquire) & terminated_bit) != 0;  // sync: R2
  }

private:
  static constexpr std::uint32_t running = 0;
  static constexpr std::uint32_t parked = 1;
  static constexpr std::uint32_t notified = 2;
  static constexpr std::uint32_t terminated_bit = 4;

  // any thread
  typename Atomics::template atomic<std::uint32_t> word_{running};
};

}  // namespace weft::detail

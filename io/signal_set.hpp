// SPDX-License-Identifier: MIT
#pragma once
// Waiting for a signal: co_await signal_set(SIGINT, SIGTERM).wait(), and the option .stop_on of
// run, which stops the main task when one comes.
//
// What a signal does belongs to the process and not to a thread or a loop, so here, and only here,
// weft changes something for the whole process: while somebody waits for a signal it has a handler
// of weft's, whichever thread it meets. The first signal ends the wait. A second one that comes
// before the first has been seen to ends the program (it has its default action), so that nobody
// has to reach for SIGKILL. When the last wait for a signal is over it does what it did before.
// Meanwhile nobody else should set handlers for it.

#include "weft/runtime/task.hpp"

#include <concepts>
#include <csignal>
#include <cstdint>
#include <type_traits>

namespace weft {

namespace detail {
[[noreturn, gnu::cold]] void refuse_signal(int number);
}

/// Numbers of signals.
///
/// Shape:  signal_set(SIGINT, SIGTERM); an empty one waits for ever, and as .stop_on for nothing.
/// Errors: invalid_argument for what is no signal or cannot be caught: SIGKILL, SIGSTOP, and the
///         two that the C library keeps for itself.
/// Thread: a value.
class signal_set {
public:
  template <std::same_as<int>... Numbers>
  constexpr signal_set(Numbers... numbers) : bits_((std::uint64_t{0} | ... | bit_of(numbers))) {}

  constexpr bool empty() const noexcept { return bits_ == 0; }
  constexpr bool contains(int number) const noexcept {
    return number >= 1 && number <= number_max && (bits_ >> (number - 1) & 1) != 0;
  }
  /// Bit n - 1: signal n.
  constexpr std::uint64_t bits() const noexcept { return bits_; }

  friend constexpr bool operator==(signal_set, signal_set) noexcept = default;

  /// Waits until one of the signals comes.
  ///
  /// Returns:  its number.
  /// Errors:   EMFILE, ENFILE, ENOMEM; cancelled, and no signal was taken.
  /// Thread:   any worker; any number of waits at once, on several schedulers too: a signal ends
  ///           all that have begun. One that comes between two waits of a loop finds no handler and
  ///           does what it did before, so a program that expects a signal again and again begins
  ///           the next wait before it works on the last.
  /// Cost:     one frame, a descriptor, two system calls for each signal, one SQE.
  /// Source:   sigaction(2), eventfd(2), IORING_OP_READ (Linux 5.6).
  task<int> wait() const;

private:
  static constexpr int number_max = 64;

  static constexpr std::uint64_t bit_of(int number) {
    const bool reserved = number >= 32 && number <= 33;
    if (number < 1 || number > number_max || number == SIGKILL || number == SIGSTOP || reserved)
      detail::refuse_signal(number);
    return std::uint64_t{1} << (number - 1);
  }

  std::uint64_t bits_;
};

static_assert(std::is_trivially_copyable_v<signal_set>);

}  // namespace weft

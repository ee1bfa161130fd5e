// SPDX-License-Identifier: MIT
#pragma once
// Signals of this process as something to read: what the real kernel's catch_signals is made of.
//
// A handler that only writes to the eventfds of those who wait, instead of a signalfd: that would
// lose a signal to any thread that was there before the signals were masked, and end the process.
// What a signal does is process-wide, so there is one list for the process of who catches what. For
// each signal that somebody catches: while one waits for it, the handler; when the signal that they
// waited for has come, the default action, so that a second one ends the program; when nobody
// catches it any more, what it did before. Who catches every signal waits as long as it catches.
//
// The list is guarded by a lock that is only ever held with all signals blocked: no handler
// interrupts its holder. In a forked child the signals do again what they did before.

#include "weft/io/kernel/kernel.hpp"

#include <cstdint>

namespace weft::detail {

/// As kernel::catch_signals.
int catch_linux_signals(std::uint64_t set, signal_catch how) noexcept;

/// As kernel::release_signals.
int release_linux_signals(int fd) noexcept;

}  // namespace weft::detail

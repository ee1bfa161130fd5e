// SPDX-License-Identifier: MIT
#pragma once
// Proves that something makes no system call: a seccomp filter traps all but those that memory, one
// line of output and the end of the process need.

namespace weft::tests {

struct child_outcome {
  bool succeeded = false;  // the body returned true
  int system_call = -1;    // the number of the first one that was trapped
};

/// Runs `body` in a child process. Call it while this process has no other thread.
child_outcome run_without_system_calls(bool (*body)());

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// What weft asks of an io_uring, in one place: linux_queue.cpp opens rings by it, and doctor()
// tells which of it a kernel has.

#include <liburing.h>

#include <array>

namespace weft::detail {

// The ring's flags from best to oldest; the first set that the kernel accepts is used.
//   SINGLE_ISSUER, DEFER_TASKRUN (6.1): completions are worked on when the owner asks, not
//                                      whenever a packet arrives: up to twice the throughput.
//   COOP_TASKRUN, TASKRUN_FLAG (5.19): no interrupt for completions; the flag says when to look.
//   SUBMIT_ALL (5.18): one bad entry does not hold up the ones behind it.
inline constexpr unsigned ring_flags_always =
    IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
inline constexpr std::array ring_flag_sets{
    ring_flags_always | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    ring_flags_always | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
};

// EXT_ARG: a wait with a deadline. NODROP: completions that find no room are kept by the kernel.
inline constexpr unsigned ring_features_needed =
    IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SINGLE_MMAP;

/// An operation that io/ fills entries with (io_uring_prep_*), and the Linux that first had it.
struct needed_operation {
  io_uring_op code;
  const char* name;
  const char* since;
};

inline constexpr std::array operations_needed{
    needed_operation{IORING_OP_POLL_ADD, "POLL_ADD", "5.1"},
    needed_operation{IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL", "5.5"},
    needed_operation{IORING_OP_ACCEPT, "ACCEPT", "5.5"},
    needed_operation{IORING_OP_CONNECT, "CONNECT", "5.5"},
    needed_operation{IORING_OP_RECV, "RECV", "5.6"},
    needed_operation{IORING_OP_SEND, "SEND", "5.6"},
    needed_operation{IORING_OP_CLOSE, "CLOSE", "5.6"},
    needed_operation{IORING_OP_OPENAT, "OPENAT", "5.6"},
    needed_operation{IORING_OP_OPENAT2, "OPENAT2", "5.6"},
    needed_operation{IORING_OP_READ, "READ", "5.6"},
    needed_operation{IORING_OP_WRITE, "WRITE", "5.6"},
    needed_operation{IORING_OP_FSYNC, "FSYNC", "5.1"},
    needed_operation{IORING_OP_STATX, "STATX", "5.6"},
    needed_operation{IORING_OP_RENAMEAT, "RENAMEAT", "5.11"},
    needed_operation{IORING_OP_UNLINKAT, "UNLINKAT", "5.11"},
    needed_operation{IORING_OP_MKDIRAT, "MKDIRAT", "5.15"},
};

}  // namespace weft::detail

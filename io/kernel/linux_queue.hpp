// SPDX-License-Identifier: MIT
#pragma once
// The real kernel's queue: an io_uring with the best flags that this kernel has. All that weft
// knows of kernel versions is in linux_queue.cpp and ring_needs.hpp.

#include "weft/io/kernel/kernel.hpp"

#include <memory>

struct io_uring_params;

namespace weft::detail {

/// Errors: system_error that names io_uring_setup, the errno and the likely cause.
std::unique_ptr<kernel_queue> open_linux_queue(kernel& owner, const queue_options& options);

/// What liburing calls io_uring_queue_init_params: 0 or -errno.
using setup_call = int (*)(unsigned entries, io_uring* ring, io_uring_params* parameters);

/// The same with another call in its place, so that a test can play an older kernel.
std::unique_ptr<kernel_queue> open_linux_queue(kernel& owner, const queue_options& options,
                                               setup_call call);

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// The real kernel's queue: an io_uring with the best flags that this kernel has. All that weft
// knows of kernel versions is in linux_queue.cpp.

#include "weft/io/kernel/kernel.hpp"

#include <memory>

namespace weft::detail {

/// Errors: system_error that names io_uring_setup, the errno and the likely cause.
std::unique_ptr<kernel_queue> open_linux_queue(kernel& owner, const queue_options& options);

}  // namespace weft::detail

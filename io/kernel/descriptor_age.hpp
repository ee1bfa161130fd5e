// SPDX-License-Identifier: MIT
#pragma once
// How often a descriptor's number has been given back. Who remembers something of a number (that
// epoll watches it, say) remembers its age too, and looks again when that is another one: then the
// number may be a new file's.
//
// Numbers are the process's, and so are their ages. Two numbers may share one: then what is
// remembered of one is looked after once more when the other one is closed.
//
//   A1: age_descriptor (release), close(2), the kernel's own lock around its table, who gets the
//       number next -> age_of_descriptor (acquire): a new owner never finds the old age.

#include <cstdint>

namespace weft::detail {

/// The number is about to be given back: nothing is in flight on it. Thread: any.
void age_descriptor(int fd) noexcept;

/// Thread: any. Cost: a load.
std::uint32_t age_of_descriptor(int fd) noexcept;

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// Runs one test body on both schedulers under a virtual clock. There a sleep ends when everybody
// waits, however long a thread was held up: who sleeps for a moment knows that the others have got
// as far as they can.

#include "support/both_schedulers.hpp"
#include "support/test_kernel.hpp"

#include <utility>

namespace weft::tests {

/// As on_both(), with a kernel of its own for each scheduler.
template <class Body>
void on_both_in_virtual_time(Body body) {
  on_both([&body](run_options options) {
    test_kernel kernel;
    options.kernel = &kernel;
    body(std::as_const(options));
  });
}

}  // namespace weft::tests

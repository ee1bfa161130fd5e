// SPDX-License-Identifier: MIT
#include "weft/io/signal_set.hpp"

#include "weft/io/caught_signals.hpp"
#include "weft/runtime/error.hpp"

#include <string>
#include <system_error>

namespace weft {

namespace {

task<int> wait_for(signal_set set) {
  detail::caught_signals caught(current_kernel(), set, signal_catch::first,
                                detail::signal_arrival::name);
  detail::signal_arrival arrival(caught);
  const result<int> arrived = co_await arrival;
  // Also one that came while the wait was being cancelled: it is nobody else's any more.
  const int number = caught.release();
  if (number == 0) throw_error(arrived.error(), detail::signal_arrival::name);
  co_return number;
}

}  // namespace

void detail::refuse_signal(int number) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "signal_set: " + std::to_string(number) +
                              " is not the number of a signal that can be caught");
}

task<int> signal_set::wait() const { return wait_for(*this); }

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/io/caught_signals.hpp"

#include "weft/runtime/error.hpp"

#include <liburing.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <string.h>

namespace weft::detail {

caught_signals::caught_signals(kernel& k, signal_set set, signal_catch how, const char* call)
    : kernel_(&k), fd_(k.catch_signals(set.bits(), how)) {
  if (fd_ < 0) throw_error({-fd_, std::system_category()}, call);
}

int caught_signals::release() noexcept {
  if (fd_ >= 0) came_ = kernel_->release_signals(std::exchange(fd_, -1));
  return came_;
}

void signal_arrival::prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept {
  auto& self = static_cast<signal_arrival&>(op);
  io_uring_prep_read(&sqe, self.fd_, &self.number_, sizeof self.number_, 0);
}

std::string signal_name(int number) {
  const char* const abbreviation = ::sigabbrev_np(number);
  if (abbreviation == nullptr) return "signal " + std::to_string(number);
  return std::string("SIG") + abbreviation;
}

}  // namespace weft::detail

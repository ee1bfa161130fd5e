// SPDX-License-Identifier: MIT
#pragma once
// Signals that are caught as long as an object lives, and the operation that waits for the first of
// them: what signal_set::wait() and the option .stop_on share.

#include "weft/io/ring.hpp"
#include "weft/io/signal_set.hpp"

#include <cstdint>
#include <string>

namespace weft::detail {

class caught_signals {
public:
  /// Errors: system_error that names `call`.
  caught_signals(kernel& k, signal_set set, signal_catch how, const char* call);
  caught_signals(const caught_signals&) = delete;
  caught_signals& operator=(const caught_signals&) = delete;
  ~caught_signals() { (void)release(); }

  /// From here on they do what they did before. Returns the number of the one that has come, 0 for
  /// none. Nobody waits for it any more.
  int release() noexcept;

  int fd() const noexcept { return fd_; }

private:
  kernel* kernel_;
  int fd_;
  int came_ = 0;
};

/// The number of the signal that came; awaited, it gives a result and throws nothing.
class signal_arrival : public ring_awaitable<signal_arrival, int> {
public:
  static constexpr const char* name = "signal_set::wait";

  explicit signal_arrival(const caught_signals& caught) noexcept : fd_(caught.fd()) {}

  static void prepare_entry(ring_operation& op, io_uring_sqe& sqe) noexcept;
  result<int> success(int) noexcept { return static_cast<int>(number_); }
  result<int> await_resume() noexcept { return outcome(); }

private:
  int fd_;
  std::uint64_t number_ = 0;
};

/// "SIGINT".
std::string signal_name(int number);

}  // namespace weft::detail

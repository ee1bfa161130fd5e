// SPDX-License-Identifier: MIT
#pragma once

// What weft throws. Failures of the world are std::system_error with the category of the errno; two
// classes derived from it say more. Cancellation is not an error and not a std::exception, so that
// no `catch (std::exception&)` swallows it on its way to the scope that was stopped. As a value, in
// a `result<T>`, a cancel is exactly `cancelled_code()`. A kernel's ECANCELED comes in the system
// category and is an error like any other.

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

namespace weft {

/// Thrown out of a co_await because the awaiting task's own scope was stopped.
///
/// A single operation that throws this had no effect. Calls of several steps (`write_all`,
/// `read_exact`) may have moved some bytes before: `transferred()`.
struct cancelled final {
  constexpr cancelled() noexcept = default;
  constexpr explicit cancelled(std::size_t transferred) noexcept : transferred_(transferred) {}

  [[nodiscard]] constexpr std::size_t transferred() const noexcept { return transferred_; }

private:
  std::size_t transferred_ = 0;
};

/// Thrown by the scope whose deadline fired, and by nothing else; its code is `errc::timed_out` in
/// the generic category (a peer that stopped answering is ETIMEDOUT in the system category).
class timeout_error : public std::system_error {
public:
  timeout_error();
  explicit timeout_error(const char* what, std::size_t transferred = 0);
  timeout_error(const timeout_error&) = default;
  timeout_error& operator=(const timeout_error&) = default;
  ~timeout_error() override;

  /// Bytes that a call of several steps had moved when its time was up.
  [[nodiscard]] std::size_t transferred() const noexcept { return transferred_; }

private:
  std::size_t transferred_ = 0;
};

/// Thrown by a call of several steps that failed half-way.
class io_error : public std::system_error {
public:
  io_error(std::error_code code, std::size_t transferred);
  io_error(std::error_code code, std::size_t transferred, const char* what);
  io_error(const io_error&) = default;
  io_error& operator=(const io_error&) = default;
  ~io_error() override;

  /// Bytes moved before the step that failed.
  [[nodiscard]] std::size_t transferred() const noexcept { return transferred_; }

private:
  std::size_t transferred_;
};

/// Thrown by run when every task waits and nothing is left that could wake one: no timer, no I/O,
/// no blocking call, no work_guard. A mistake of the program; `what()` shows who awaits whom, and
/// where.
class deadlock : public std::logic_error {
public:
  explicit deadlock(const std::string& report);
  deadlock(const deadlock&) = default;
  deadlock& operator=(const deadlock&) = default;
  ~deadlock() override;
};

/// "The awaiting task's scope was stopped", as a value: `errc::operation_canceled`, generic
/// category.
[[nodiscard]] inline std::error_code cancelled_code() noexcept {
  return std::make_error_code(std::errc::operation_canceled);
}

/// "The scope's deadline has passed", as a value: `errc::timed_out`, generic category.
[[nodiscard]] inline std::error_code timed_out_code() noexcept {
  return std::make_error_code(std::errc::timed_out);
}

namespace detail {
/// Whether an exception is weft::cancelled.
[[nodiscard, gnu::cold]] bool is_cancelled(const std::exception_ptr& e) noexcept;
}  // namespace detail

/// Throws `cancelled` for exactly `cancelled_code()`, `timeout_error` for `timed_out_code()`, else
/// `std::system_error(code, what)`; a null `what` adds nothing to the code's own message.
[[noreturn, gnu::cold, gnu::noinline]] void throw_error(std::error_code code,
                                                        const char* what = nullptr);

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/runtime/error.hpp"

#include <typeinfo>

namespace weft {

timeout_error::timeout_error() : std::system_error(std::make_error_code(std::errc::timed_out)) {}

timeout_error::timeout_error(const char* what, std::size_t transferred)
    : std::system_error(std::make_error_code(std::errc::timed_out), what),
      transferred_(transferred) {}

timeout_error::~timeout_error() = default;

io_error::io_error(std::error_code code, std::size_t transferred)
    : std::system_error(code), transferred_(transferred) {}

io_error::io_error(std::error_code code, std::size_t transferred, const char* what)
    : std::system_error(code, what), transferred_(transferred) {}

io_error::~io_error() = default;

deadlock::deadlock(const std::string& report) : std::logic_error(report) {}

deadlock::~deadlock() = default;

bool detail::is_cancelled(const std::exception_ptr& e) noexcept {
#ifdef __GLIBCXX__
  return *e.__cxa_exception_type() == typeid(cancelled);
#else
  try {
    std::rethrow_exception(e);
  } catch (const cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
#endif
}

void throw_error(std::error_code code, const char* what) {
  if (code == cancelled_code()) {
    throw cancelled{};
  }
  if (code == timed_out_code()) {
    throw timeout_error(what == nullptr ? "" : what);
  }
  if (what == nullptr) {
    throw std::system_error(code);
  }
  throw std::system_error(code, what);
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/io/serve.hpp"

#include "weft/runtime/as_result.hpp"
#include "weft/runtime/sleep.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace weft::detail {

namespace {

enum class remedy { none, try_again, pause };

remedy remedy_for(std::error_code code) noexcept {
  if (code.category() != std::system_category()) return remedy::none;
  switch (code.value()) {
  // What happened to one connection before it was accepted, or to the network under it.
  case ECONNABORTED:
  case EPROTO:
  case ENETDOWN:
  case ENOPROTOOPT:
  case EHOSTDOWN:
  case ENONET:
  case EHOSTUNREACH:
  case EOPNOTSUPP:
  case ENETUNREACH:
  case EPERM:
  case EINTR:
    return remedy::try_again;
  // What others have to give back first.
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
    return remedy::pause;
  default:
    return remedy::none;
  }
}

// Connections in a row that may fail before they are taken for more than bad luck.
constexpr int failures_in_a_row = 100;

constexpr std::chrono::milliseconds pause_min{10};
constexpr std::chrono::milliseconds pause_max{1000};

}  // namespace

void report(const serve_options& options, const std::exception& e) noexcept {
  if (options.on_error) options.on_error(e);
}

task<tcp_stream> next_connection(tcp_listener& listener, serve_options options) {
  std::chrono::milliseconds pause = pause_min;
  for (int failures = 0;; ++failures) {
    auto step = as_result(listener.accept());
    result<tcp_stream> accepted = co_await step;
    if (accepted) co_return *std::move(accepted);
    const std::error_code code = accepted.error();
    const remedy what = remedy_for(code);
    if (what == remedy::none) throw_error(code, accept_operation::name);
    if (what == remedy::pause || failures >= failures_in_a_row) {
      report(options, std::system_error(code, "serve: accepting pauses"));
      sleep_operation wait = sleep_for(pause);
      co_await wait;
      pause = std::min(2 * pause, pause_max);
    }
  }
}

}  // namespace weft::detail

// SPDX-License-Identifier: MIT
#pragma once
// A server on this machine that takes its time: each answer comes after a fixed delay, and any
// number of clients are served at once. It runs on a thread and an event loop of its own, so that
// its work appears in no measurement.

#include <weft/io/tcp.hpp>
#include <weft/weft.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace demo {

class slow_server {
public:
  /// Ready when constructed. Errors: system_error when no port can be had.
  slow_server(std::vector<std::string> pages, std::chrono::milliseconds delay);
  /// Stops serving and joins the thread.
  ~slow_server();
  slow_server(const slow_server&) = delete;
  slow_server& operator=(const slow_server&) = delete;

  weft::endpoint address() const { return listener_.local_endpoint(); }

private:
  weft::task<> run_until_stopped();
  weft::task<> answer(weft::tcp_stream client) const;

  const std::vector<std::string> pages_;
  const std::chrono::milliseconds delay_;
  weft::tcp_listener listener_;
  weft::event stopped_;
  std::jthread thread_;
};

/// The client's side: connects, asks for page number `page` (modulo their number), reads to the
/// end.
weft::task<std::string> fetch(weft::endpoint server, std::uint32_t page);

}  // namespace demo

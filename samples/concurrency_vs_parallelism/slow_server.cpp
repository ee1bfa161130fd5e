// SPDX-License-Identifier: MIT

#include "slow_server.hpp"

#include <weft/io/serve.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

using namespace std::chrono_literals;

namespace demo {

slow_server::slow_server(std::vector<std::string> pages, std::chrono::milliseconds delay)
    : pages_{std::move(pages)}, delay_{delay}, listener_{weft::tcp_listener::bind("127.0.0.1:0")},
      thread_{[this] { weft::run({.stall_after = 100ms}, run_until_stopped()); }} {}

slow_server::~slow_server() { stopped_.set(); }

weft::task<> slow_server::run_until_stopped() {
  const auto body = [this](weft::task_group& group) -> weft::task<> {
    group.spawn(weft::serve(listener_,
                            [this](weft::tcp_stream client) { return answer(std::move(client)); }));
    co_await stopped_.wait();
    group.cancel();
  };
  co_await weft::with_task_group(body);
}

weft::task<> slow_server::answer(weft::tcp_stream client) const {
  std::uint32_t page = 0;
  co_await client.read_exact(std::as_writable_bytes(std::span(&page, 1)));
  co_await weft::sleep_for(delay_);
  co_await client.write_all(pages_[page % pages_.size()]);
}

weft::task<std::string> fetch(weft::endpoint server, std::uint32_t page) {
  weft::tcp_stream stream = co_await weft::tcp_stream::connect(server);
  co_await stream.write_all(std::as_bytes(std::span(&page, 1)));
  std::string answer;
  std::array<char, 16 * 1024> buffer;
  while (const std::size_t n = co_await stream.read(buffer)) answer.append(buffer.data(), n);
  co_return answer;
}

}  // namespace demo

// SPDX-License-Identifier: MIT
#pragma once
// Tasks that wait for what does not come, while somebody measures what that costs.

#include "weft/io/tcp_listener.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task_group.hpp"

#include <chrono>

namespace weft::tests {

/// The processor time, as `clock` tells it, that passes in `duration` while an accept and a timer
/// of an hour are pending.
inline task<std::chrono::nanoseconds>
processor_time_of_waiting(std::chrono::nanoseconds duration,
                          std::chrono::nanoseconds (*clock)() noexcept) {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  std::chrono::nanoseconds used{};
  auto accept = [&]() -> task<> { const tcp_stream s = co_await listener.accept(); };
  auto sleep = []() -> task<> { co_await sleep_for(std::chrono::hours(1)); };
  auto body = [&](task_group& group) -> task<> {
    group.spawn(accept);
    group.spawn(sleep);
    co_await sleep_for(std::chrono::milliseconds(20));  // until both wait
    const std::chrono::nanoseconds before = clock();
    co_await sleep_for(duration);
    used = clock() - before;
    group.cancel();
  };
  co_await with_task_group(body);
  co_return used;
}

}  // namespace weft::tests

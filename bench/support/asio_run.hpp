// SPDX-License-Identifier: MIT
#pragma once
// Asio's coroutines, which stand beside weft's in the questions where they can do the same.

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

/// Runs what the context has to do on `threads` threads, until nothing is left.
inline void run_on_threads(asio::io_context& context, std::size_t threads) {
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back([&context] { context.run(); });
  context.run();
}

/// The same for one coroutine, and those that it starts.
inline void run_asio(std::size_t threads, asio::awaitable<void> main) {
  asio::io_context context(static_cast<int>(threads));
  asio::co_spawn(context, std::move(main), asio::detached);
  run_on_threads(context, threads);
}

}  // namespace bench

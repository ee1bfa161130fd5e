// SPDX-License-Identifier: MIT
// The smallest program: two tasks wait at the same time, on one thread or on several.
//
//     hello [--workers N]

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

weft::task<std::string> word(std::string text) {
  co_await weft::sleep_for(100ms);
  co_return text;
}

weft::task<> hello() {
  // Both words together take 100 ms, not 200.
  auto [first, second] = co_await weft::when_all(word("hello"), word("world"));
  std::printf("%s, %s\n", first.c_str(), second.c_str());
}

int main(int argc, char** argv) {
  CLI::App app{"Two tasks that wait at the same time."};
  weft::run_options options{.stall_after = 100ms};
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  weft::run(options, hello());
}

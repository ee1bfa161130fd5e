// SPDX-License-Identifier: MIT
// A TCP server in ten lines: every connection is a task, on one thread or on every core.
//
//     echo_server [--host ADDRESS] [--port PORT] [--workers N]
//
// Sends back what it receives. Ctrl-C (or SIGTERM) ends it: every connection is closed, and the
// exit code is 0. With port 0 the system chooses a free one; the line that is printed tells which.

#include <weft/io/serve.hpp>
#include <weft/io/tcp.hpp>
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

using namespace std::chrono_literals;

weft::task<> echo(weft::tcp_stream stream) {
  stream.set_nodelay(true);
  std::array<std::byte, 16 * 1024> buffer;
  while (const std::size_t received = co_await stream.read(buffer)) {
    co_await stream.write_all({buffer.data(), received});
  }
}

/// One connection went wrong (mostly: its client is gone). The others go on.
void report(const std::exception& e) { std::fprintf(stderr, "echo_server: %s\n", e.what()); }

int main(int argc, char** argv) {
  CLI::App app{"Sends back what it receives."};
  std::string host = "127.0.0.1";
  std::uint16_t port = 7007;
  weft::run_options options{.stop_on = {SIGINT, SIGTERM}, .grace = 5s, .stall_after = 100ms};
  app.add_option("--host", host, "numeric address to listen on; IPv6 in brackets: [::]")
      ->capture_default_str();
  app.add_option("--port", port, "0 lets the system choose")->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    auto listener = weft::tcp_listener::bind(host + ':' + std::to_string(port));
    std::printf("listening on %s\n", listener.local_endpoint().to_string().c_str());
    std::fflush(stdout);
    weft::run(options, weft::serve(std::move(listener), echo, {.on_error = report}));
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::operation_canceled) {  // by .stop_on: this is how a server ends
      std::printf("stopped, every connection is closed\n");
      return 0;
    }
    report(e);
    return 1;
  } catch (const std::exception& e) {
    report(e);
    return 1;
  }
}

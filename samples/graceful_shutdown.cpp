// SPDX-License-Identifier: MIT
// A server that drains: Ctrl-C ends the waiting at once, but what is in progress is finished.
//
//     graceful_shutdown [--port PORT] [--limit MS] [--workers N]
//
// A request is a line with a number, the milliseconds that the answer takes:
//     printf '2000\n' | nc 127.0.0.1 7007
// By the first Ctrl-C (or SIGTERM) the port is closed and so are the connections that have asked
// for nothing; answers that are being worked on are sent, within the limit that each has anyway.
// The counts are printed at the end. A second Ctrl-C ends the program at once.

#include <weft/io/tcp.hpp>
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

using namespace std::chrono_literals;
using std::chrono::milliseconds;

struct server {
  milliseconds limit = 5s;  // for each answer
  std::atomic<int> finished = 0;
  std::atomic<int> cut_off = 0;
};

void report(const std::exception& e) { std::fprintf(stderr, "graceful_shutdown: %s\n", e.what()); }

weft::task<> answer(weft::tcp_stream& stream, std::string request) {
  const milliseconds work(std::stoi(request));
  co_await stream.write_all("begun\n");
  co_await weft::sleep_for(work);
  co_await stream.write_all("done\n");
}

weft::task<> converse(server& s, weft::tcp_stream stream) {
  try {
    auto requests = stream.lines();
    // A stop ends the wait for a request, but does not reach into a shield.
    while (auto request = co_await requests.next()) {
      co_await weft::shield(answer(stream, *std::move(request)), s.limit);
      ++s.finished;
    }
  } catch (const weft::timeout_error&) {
    ++s.cut_off;  // and the connection is closed
  } catch (const std::exception& e) {
    report(e);  // of this connection only
  }
}

/// Ends by a stop, and then at once: the listener goes with it, and further clients are refused.
weft::task<> accept_all(server& s, weft::tcp_listener listener, weft::task_group& conversations) {
  auto arriving = listener.connections();
  while (auto stream = co_await arriving.next()) {
    conversations.spawn(converse, std::ref(s), *std::move(stream));
  }
}

/// Ends when the last conversation has: a group does not end before its children.
weft::task<> serve(server& s, weft::tcp_listener listener) {
  const auto body = [&](weft::task_group& conversations) {
    return accept_all(s, std::move(listener), conversations);
  };
  co_await weft::with_task_group(body);
}

int main(int argc, char** argv) {
  CLI::App app{"A server that finishes what it has begun."};
  std::uint16_t port = 7007;
  server s;
  int limit_ms = 5000;
  weft::run_options options{.stop_on = {SIGINT, SIGTERM}, .stall_after = 100ms};
  app.add_option("--port", port, "0 lets the system choose")->capture_default_str();
  app.add_option("--limit", limit_ms, "milliseconds that an answer may take at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    s.limit = milliseconds(limit_ms);
    options.grace = s.limit + 1s;  // should anything hang in spite of its limit
    auto listener = weft::tcp_listener::bind("127.0.0.1:" + std::to_string(port));
    std::printf("listening on %s\n", listener.local_endpoint().to_string().c_str());
    std::fflush(stdout);
    weft::run(options, serve(s, std::move(listener)));
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::operation_canceled) {  // by .stop_on
      std::printf("stopped: %d answers finished, %d cut off\n", s.finished.load(),
                  s.cut_off.load());
      return 0;
    }
    report(e);
    return 1;
  } catch (const std::exception& e) {
    report(e);
    return 1;
  }
}

// SPDX-License-Identifier: MIT
// Load for an echo server: many connections at once, throughput and latencies at the end.
//
//     echo_client [--host ADDRESS] [--port PORT] [--connections N] [--messages M] [--size S]
//                 [--workers N]
//
// Each connection sends a message, waits for all of it to come back, compares, and sends the next.

#include "support/latency.hpp"
#include "support/table.hpp"
#include <weft/io/tcp.hpp>
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct load {
  std::size_t connections = 50;
  std::size_t messages = 1000;
  std::size_t size = 64;
};

weft::task<sample::latency_histogram> talk(weft::endpoint server, load l) {
  weft::tcp_stream stream = co_await weft::tcp_stream::connect(server);
  stream.set_nodelay(true);
  sample::latency_histogram times;
  std::string sent(l.size, '\0');
  std::string received(l.size, '\0');
  for (std::size_t m = 0; m < l.messages; ++m) {
    for (std::size_t i = 0; i < l.size; ++i) sent[i] = static_cast<char>('a' + (m + i) % 26);
    const auto start = steady_clock::now();
    // Together: a large message comes back before the last of it has been sent.
    co_await weft::when_all(stream.write_all(sent), stream.read_exact(received));
    times.add(steady_clock::now() - start);
    if (received != sent) throw std::runtime_error("the server sent back something else");
  }
  co_return times;
}

weft::task<sample::latency_histogram> talk_on_all(weft::endpoint server, load l) {
  std::vector<weft::task<sample::latency_histogram>> connections;
  for (std::size_t c = 0; c < l.connections; ++c) connections.push_back(talk(server, l));
  auto all = co_await weft::when_all(std::move(connections));
  sample::latency_histogram total;
  for (const sample::latency_histogram& one : all) total.merge(one);
  co_return total;
}

int main(int argc, char** argv) {
  CLI::App app{"Measures an echo server."};
  std::string host = "127.0.0.1";
  std::uint16_t port = 7007;
  load l;
  weft::run_options options{.stall_after = 100ms};
  app.add_option("--host", host, "the server's numeric address; IPv6 in brackets: [::1]")
      ->capture_default_str();
  app.add_option("--port", port, "the server's port")->capture_default_str();
  app.add_option("--connections", l.connections, "connections at once")->capture_default_str();
  app.add_option("--messages", l.messages, "messages on each")->capture_default_str();
  app.add_option("--size", l.size, "bytes a message")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    const weft::endpoint server(host + ':' + std::to_string(port));
    const auto start = steady_clock::now();
    const auto times = weft::run(options, talk_on_all(server, l));
    const steady_clock::duration time = steady_clock::now() - start;
    const double seconds = std::chrono::duration<double>(time).count();
    const double count = static_cast<double>(times.count());
    const double mib = count * static_cast<double>(l.size) / (1024 * 1024);
    std::printf("%llu messages of %zu bytes on %zu connections in %s\n",
                static_cast<unsigned long long>(times.count()), l.size, l.connections,
                sample::time_text(time).c_str());
    std::printf("throughput  %.0f messages/s, %.1f MiB/s each way\n", count / seconds,
                mib / seconds);
    std::printf("latency     %s\n", times.summary().c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "echo_client: %s\n", e.what());
    return 1;
  }
}

// SPDX-License-Identifier: MIT
// How many messages does a TCP echo server on one core give back?
//
// Measured: 50 and 1000 connections on loopback, each with one message of 64 bytes under way; an
// iteration is 1000 echoes. The server has one core, the load another one. `server_cpu` is what the
// server's thread used per echo, in seconds: it tells more than the rate when the load is the
// slower side. weft serves on both of its kernels; the task is the same. Not measured: large
// messages, connecting, a network. Bound: the kernel's loopback TCP, about 2.8 us of each echo, and
// on epoll two more system calls. Baselines: raw liburing with the same ring flags, one receive and
// one send at a time; an epoll loop in the manner of C; Asio with callbacks, on epoll.

#include "bench/support/affinity.hpp"
#include "bench/support/echo_load.hpp"
#include "bench/support/echo_servers.hpp"
#include "bench/support/loopback.hpp"
#include "bench/support/measure.hpp"
#include <weft/io/tcp.hpp>
#include <weft/runtime/task_group.hpp>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <time.h>

namespace {

constexpr std::size_t echoes = 1000;

using bench::port_promise;

// --- weft
// -----------------------------------------------------------------------------------------

weft::task<> echo(weft::tcp_stream stream) {
  stream.set_nodelay(true);
  bench::echo_buffer bytes;
  for (;;) {
    const std::size_t received = co_await stream.read(bytes);
    if (received == 0) break;
    co_await stream.write_all({bytes.data(), received});
  }
}

weft::task<> serve_connections(port_promise port, std::size_t connections) {
  auto listener = weft::tcp_listener::bind("127.0.0.1:0");
  port.set_value(listener.local_endpoint().port());
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (std::size_t i = 0; i < connections; ++i) {
      weft::tcp_stream stream = co_await listener.accept();
      group.spawn(echo, std::move(stream));
    }
  };
  co_await weft::with_task_group(body);
}

template <weft::kernel& (*Kernel)() noexcept>
void weft_server(port_promise port, std::size_t connections) {
  weft::run({.kernel = &Kernel()}, serve_connections(std::move(port), connections));
}

// --- Asio
// -----------------------------------------------------------------------------------------

class asio_connection {
public:
  explicit asio_connection(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    socket_.set_option(asio::ip::tcp::no_delay(true));
    read();
  }

private:
  void read() {
    socket_.async_read_some(asio::buffer(bytes_), [this](asio::error_code e, std::size_t n) {
      if (!e) write(n);
    });
  }
  void write(std::size_t n) {
    asio::async_write(socket_, asio::buffer(bytes_.data(), n),
                      [this](asio::error_code e, std::size_t) {
                        if (!e) read();
                      });
  }

  asio::ip::tcp::socket socket_;
  bench::echo_buffer bytes_;
};

void asio_server(port_promise port, std::size_t connections) {
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  port.set_value(acceptor.local_endpoint().port());
  std::vector<std::unique_ptr<asio_connection>> all;
  for (std::size_t i = 0; i < connections; ++i)
    all.push_back(std::make_unique<asio_connection>(acceptor.accept()));
  context.run();
}

// --- What is common
// -------------------------------------------------------------------------------

double cpu_seconds(std::thread& thread) {
  clockid_t clock{};
  timespec used{};
  if (pthread_getcpuclockid(thread.native_handle(), &clock) != 0) return 0;
  if (clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

template <void (*Serve)(port_promise, std::size_t connections)>
void ping_pong(benchmark::State& state) {
  const std::size_t connections = bench::size(state, 0);
  if (!bench::allow_descriptors(2 * connections + 64))
    return state.SkipWithError("the hard limit of descriptors (ulimit -Hn) is too low");
  port_promise promise;
  std::future<std::uint16_t> port = promise.get_future();
  std::thread server([&promise, connections] {
    const bench::pinned core(0);
    Serve(std::move(promise), connections);
  });
  {
    const bench::pinned core(1);
    bench::echo_load load(port.get(), connections);
    load.run(std::max(echoes, 2 * connections));  // all are accepted, all paths warm
    const std::size_t done_before = load.done();
    const double used_before = cpu_seconds(server);
    for (auto _ : state) load.run(echoes);
    const double used = cpu_seconds(server) - used_before;
    const auto done = static_cast<double>(load.done() - done_before);
    load.finish();
    bench::expect(state, load.wrong() == 0, "an echo differs from what was sent");
    bench::per_item(state, echoes);
    state.counters["server_cpu"] = used / done;
  }
  server.join();
}

void few_and_many(benchmark::internal::Benchmark* b) {
  b->ArgName("connections")->Arg(50)->Arg(1000);
  b->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(ping_pong<weft_server<weft::uring_kernel>>)
    ->Name("io/tcp_ping_pong/weft/kernel:uring")
    ->Apply(few_and_many);
BENCHMARK(ping_pong<weft_server<weft::epoll_kernel>>)
    ->Name("io/tcp_ping_pong/weft/kernel:epoll")
    ->Apply(few_and_many);
BENCHMARK(ping_pong<bench::serve_echoes_by_uring>)
    ->Name("io/tcp_ping_pong/raw_liburing")
    ->Apply(few_and_many);
BENCHMARK(ping_pong<bench::serve_echoes_by_epoll>)
    ->Name("io/tcp_ping_pong/epoll_loop")
    ->Apply(few_and_many);
BENCHMARK(ping_pong<asio_server>)->Name("io/tcp_ping_pong/asio")->Apply(few_and_many);

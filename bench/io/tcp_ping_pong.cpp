// SPDX-License-Identifier: MIT
// How many messages does a TCP echo server on one core give back?
//
// Measured: 50 connections on loopback, each with one message of 64 bytes under way; an iteration
// is 1000 echoes. The server has one core, the load another one. `server_cpu` is what the server's
// thread used per echo, in seconds: it tells more than the rate when the load is the slower side.
// Not measured: large messages, many connections, a network. Bound: the kernel's loopback TCP,
// about 2.8 us of each echo. Baselines: raw liburing with the same ring flags, one receive and one
// send at a time; Asio with callbacks, on epoll.

#include "bench/support/affinity.hpp"
#include "bench/support/descriptors.hpp"
#include "bench/support/echo_load.hpp"
#include "bench/support/measure.hpp"
#include "bench/support/raw_ring.hpp"
#include <weft/io/tcp.hpp>
#include <weft/runtime/task_group.hpp>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

namespace {

constexpr std::size_t connections = bench::echo_load::connections;
constexpr std::size_t echoes = 1000;

using buffer = std::array<char, 4096>;
using port_promise = std::promise<std::uint16_t>;

// --- weft
// -----------------------------------------------------------------------------------------

weft::task<> echo(weft::tcp_stream stream) {
  stream.set_nodelay(true);
  buffer bytes;
  for (;;) {
    const std::size_t received = co_await stream.read(bytes);
    if (received == 0) break;
    co_await stream.write_all({bytes.data(), received});
  }
}

weft::task<> serve_connections(weft::tcp_listener listener) {
  auto body = [&](weft::task_group& group) -> weft::task<> {
    for (std::size_t i = 0; i < connections; ++i) {
      weft::tcp_stream stream = co_await listener.accept();
      group.spawn(echo, std::move(stream));
    }
  };
  co_await weft::with_task_group(body);
}

void weft_server(port_promise port) {
  auto listener = weft::tcp_listener::bind("127.0.0.1:0");
  port.set_value(listener.local_endpoint().port());
  weft::run(serve_connections(std::move(listener)));
}

// --- raw liburing
// ---------------------------------------------------------------------------------

class raw_server {
public:
  void run(port_promise port) {
    listen(std::move(port));
    for (std::size_t i = 0; i < connections; ++i) {
      clients_[i].socket = bench::owned_fd(
          bench::checked(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
      const int on = 1;
      bench::checked(
          ::setsockopt(clients_[i].socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on),
          "setsockopt");
      receive(i);
    }
    while (open_ != 0)
      ring_.turn([this](std::uint64_t what, int bytes) { go_on(what / 2, what % 2 != 0, bytes); });
  }

private:
  struct client {
    bench::owned_fd socket;
    int unsent = 0;
    buffer bytes;
  };

  void listen(port_promise port) {
    listener_ =
        bench::owned_fd(bench::checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const native = reinterpret_cast<sockaddr*>(&address);
    bench::checked(::bind(listener_.get(), native, size), "bind");
    bench::checked(::listen(listener_.get(), 128), "listen");
    bench::checked(::getsockname(listener_.get(), native, &size), "getsockname");
    port.set_value(ntohs(address.sin_port));
  }
  void receive(std::size_t i) {
    client& c = clients_[i];
    io_uring_prep_recv(&ring_.entry(2 * i), c.socket.get(), c.bytes.data(), c.bytes.size(), 0);
  }
  void go_on(std::size_t i, bool sent, int bytes) {
    client& c = clients_[i];
    if (sent) {
      if (bytes != c.unsent) throw std::runtime_error("raw_server: a short send");
      receive(i);
    } else if (bytes > 0) {
      c.unsent = bytes;
      io_uring_prep_send(&ring_.entry(2 * i + 1), c.socket.get(), c.bytes.data(),
                         static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
    } else {
      c.socket = bench::owned_fd();
      --open_;
    }
  }

  bench::raw_ring ring_{128};
  bench::owned_fd listener_;
  std::vector<client> clients_{connections};
  std::size_t open_ = connections;
};

void raw_liburing_server(port_promise port) { raw_server().run(std::move(port)); }

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
  buffer bytes_;
};

void asio_server(port_promise port) {
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

template <void (*Serve)(port_promise)>
void ping_pong(benchmark::State& state) {
  port_promise promise;
  std::future<std::uint16_t> port = promise.get_future();
  std::thread server([&promise] {
    const bench::pinned core(0);
    Serve(std::move(promise));
  });
  {
    const bench::pinned core(1);
    bench::echo_load load(port.get());
    load.run(echoes);  // all are accepted, all paths warm
    const double before = cpu_seconds(server);
    for (auto _ : state) load.run(echoes);
    const double used = cpu_seconds(server) - before;
    load.finish();
    bench::expect(state, load.wrong() == 0, "an echo differs from what was sent");
    bench::per_item(state, echoes);
    state.counters["server_cpu"] =
        used / static_cast<double>(state.iterations()) / static_cast<double>(echoes);
  }
  server.join();
}

void fifty(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMicrosecond)->Apply(bench::wall_clock);
}

}  // namespace

BENCHMARK(ping_pong<weft_server>)->Name("io/tcp_ping_pong/weft/connections:50")->Apply(fifty);
BENCHMARK(ping_pong<raw_liburing_server>)
    ->Name("io/tcp_ping_pong/raw_liburing/connections:50")
    ->Apply(fifty);
BENCHMARK(ping_pong<asio_server>)->Name("io/tcp_ping_pong/asio/connections:50")->Apply(fifty);

// SPDX-License-Identifier: MIT
// The quickest way to a server that has several addresses (Happy Eyeballs, RFC 8305).
//
//     happy_eyeballs [--delay MS] [--workers N] --port PORT HOST...
//
// Tries one address after the other, IPv6 and IPv4 by turns. The next one has its turn when the one
// before has failed, or has not answered for 250 ms: it is not given up then, both are under way.
// The first connection wins, the other attempts are cancelled, which closes their sockets. HOST is
// a name or an address; all addresses of all of them take part.

#include <weft/io/blocking.hpp>
#include <weft/io/tcp.hpp>
#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <netdb.h>

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

void print(steady_clock::time_point start, const weft::endpoint& who, const char* what) {
  const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
  std::printf("%4d ms  %s: %s\n", static_cast<int>(since.count()), who.to_string().c_str(), what);
}

/// Asks the system, and blocks until it answers.
std::vector<weft::endpoint> look_up(const std::string& host, const std::string& port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &wanted, &list);
  if (error != 0) throw std::runtime_error(host + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, ::freeaddrinfo);
  std::vector<weft::endpoint> found;
  for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
    found.push_back(weft::endpoint::from_native(*a->ai_addr, a->ai_addrlen));
  }
  return found;
}

/// One of each family by turns, beginning with that of the first address.
std::vector<weft::endpoint> by_turns(const std::vector<weft::endpoint>& all) {
  std::array<std::vector<weft::endpoint>, 2> families;
  for (const auto& one : all) families.at(one.is_v6() != all[0].is_v6()).push_back(one);
  std::vector<weft::endpoint> mixed;
  for (std::size_t i = 0; mixed.size() < all.size(); ++i) {
    for (const auto& family : families) {
      if (i < family.size()) mixed.push_back(family[i]);
    }
  }
  return mixed;
}

weft::task<> attempt(weft::endpoint address, weft::task_group& attempts,
                     weft::channel_sender<weft::tcp_stream> winner,
                     steady_clock::time_point start) {
  print(start, address, "trying");
  try {
    weft::tcp_stream stream = co_await weft::tcp_stream::connect(address);
    // There is room for one. Who comes second at the same moment closes what it has.
    if (winner.try_send(std::move(stream))) print(start, address, "connected");
    attempts.cancel();
  } catch (const std::exception& e) {
    print(start, address, e.what());
  } catch (const weft::cancelled&) {
    print(start, address, "cancelled");
    throw;
  }
}

weft::task<weft::tcp_stream> connect_to_any(std::vector<weft::endpoint> addresses,
                                            milliseconds delay) {
  const auto start = steady_clock::now();
  auto [sender, winner] = weft::channel<weft::tcp_stream>(1);
  const auto body = [&](weft::task_group& attempts) -> weft::task<> {
    for (const weft::endpoint& address : addresses) {
      if (attempts.stop_requested()) co_return;  // somebody has won
      auto latest = attempts.spawn(attempt, address, std::ref(attempts), sender, start);
      try {
        co_await weft::with_timeout(delay, std::move(latest));
      } catch (const weft::timeout_error&) {
        // It goes on: the time limit is that of waiting for it.
      }
    }
  };
  co_await weft::with_task_group(body);
  std::optional<weft::tcp_stream> stream = winner.try_receive();
  if (!stream) throw std::runtime_error("no address could be reached");
  co_return *std::move(stream);
}

weft::task<> amain(std::vector<std::string> hosts, std::string port, milliseconds delay) {
  std::vector<weft::endpoint> addresses;
  for (const std::string& host : hosts) {
    const auto found = co_await weft::blocking(look_up, host, port);
    addresses.insert(addresses.end(), found.begin(), found.end());
  }
  weft::tcp_stream stream = co_await connect_to_any(by_turns(addresses), delay);
  std::printf("the winner is %s\n", stream.peer_endpoint().to_string().c_str());
}

int main(int argc, char** argv) {
  CLI::App app{"Connects to the first of several addresses that answers."};
  std::vector<std::string> hosts;
  std::string port;
  int delay_ms = 250;
  weft::run_options options{.stall_after = 100ms};
  app.add_option("HOST", hosts, "where to connect to: names or numeric addresses")->required();
  app.add_option("--port", port, "a number, or the name of a service")->required();
  app.add_option("--delay", delay_ms, "milliseconds after which the next address has its turn")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    weft::run(options, amain(hosts, port, milliseconds(delay_ms)));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "happy_eyeballs: %s\n", e.what());
    return 1;
  }
}

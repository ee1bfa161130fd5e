// SPDX-License-Identifier: MIT
#include "weft/io/tcp.hpp"

#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/dump_tasks.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace tcp_test {

using namespace weft;
using weft::tests::catching;
using weft::tests::caught;
using weft::tests::nothing_left_behind;
using weft::tests::on_both;

namespace {

struct pair {
  tcp_stream client;
  tcp_stream server;
};

task<pair> connected(const char* address = "127.0.0.1:0") {
  tcp_listener listener = tcp_listener::bind(address);
  pair both;
  task<tcp_stream> connecting = tcp_stream::connect(listener.local_endpoint());
  both.client = co_await std::move(connecting);
  both.server = co_await listener.accept();
  co_return both;
}

task<> echo(tcp_stream stream) {
  char buf[4096];
  while (auto n = co_await stream.read(buf)) co_await stream.write_all({buf, n});
}

std::vector<std::byte> pattern(std::size_t size, std::uint32_t seed) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) {
    seed = seed * 1664525u + 1013904223u;
    b = static_cast<std::byte>(seed >> 24);
  }
  return bytes;
}

std::uint64_t fnv(std::uint64_t hash, std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
  return hash;
}

task<> send_all(tcp_stream& stream, std::span<const std::byte> bytes) {
  co_await stream.write_all(bytes);
  co_await stream.shutdown();
}

struct received {
  std::size_t count = 0;
  std::uint64_t hash = 14695981039346656037u;
};

task<received> receive_all(tcp_stream& stream) {
  received r;
  std::array<std::byte, 10000> buffer;
  for (;;) {
    const std::size_t n = co_await stream.read(buffer);
    if (n == 0) co_return r;
    r.count += n;
    r.hash = fnv(r.hash, std::span(buffer).first(n));
  }
}

// Aborts the connection as a peer that crashes does: nothing unread is delivered any more.
void reset(tcp_stream stream, int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  stream = {};
}

int option_of(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
  return value;
}

// The descriptor of the process that is bound to `wanted`, and listens or is connected.
int descriptor_of(const endpoint& wanted, bool listens) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* const address = reinterpret_cast<sockaddr*>(&storage);
    if (::getsockname(fd, address, &size) != 0 || address->sa_family != AF_INET) continue;
    if ((option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0) != listens) continue;
    if (endpoint::from_native(*address, size) == wanted) return fd;
  }
  return -1;
}
int descriptor_of(const tcp_stream& s) { return descriptor_of(s.local_endpoint(), false); }
int descriptor_of(const tcp_listener& l) { return descriptor_of(l.local_endpoint(), true); }

struct failure_of_a_sibling {};

// Runs `waiting` next to a task that fails as soon as it was begun; what the waiting one ended
// with. That one fails not before `ready()`.
template <class Begin, class Ready = decltype([] { return true; })>
task<caught> cancelled_by_a_sibling(Begin begin, Ready ready = {}) {
  caught outcome;
  auto wait = [&]() -> task<> {
    task<caught> waiting = begin();
    outcome = co_await std::move(waiting);
  };
  auto fail = [&]() -> task<> {
    for (int i = 0; i < 10 || !ready(); ++i) co_await yield();
    throw failure_of_a_sibling();
  };
  auto body = [&](task_group& group) -> task<> {
    group.spawn(wait);
    group.spawn(fail);
    co_return;
  };
  bool failed = false;
  try {
    task<> running = with_task_group(body);
    co_await std::move(running);
  } catch (const failure_of_a_sibling&) {
    failed = true;
  }
  CHECK(failed);
  co_return outcome;
}

}  // namespace

TEST_SUITE("io/tcp") {
  TEST_CASE("bytes go both ways, over IPv4 and IPv6") {
    on_both([](const run_options& options) {
      for (const char* address : {"127.0.0.1:0", "[::1]:0"}) {
        CAPTURE(address);
        run(options, [](const char* where) -> task<> {
          pair p = co_await connected(where);
          co_await p.client.write_all("ping");
          char buf[16];
          const std::size_t n = co_await p.server.read(buf);
          CHECK(std::string(buf, n) == "ping");
          const std::string reply = "pong!";
          co_await p.server.write_all(reply);
          std::array<char, 5> exact{};
          co_await p.client.read_exact(exact);
          CHECK(std::string(exact.data(), exact.size()) == reply);
          CHECK(p.client.local_endpoint() == p.server.peer_endpoint());
          CHECK(p.client.peer_endpoint() == p.server.local_endpoint());
          CHECK(p.client.local_endpoint().is_v6() == endpoint(where).is_v6());
        }(address));
      }
    });
  }

  TEST_CASE("an echo of 10 MiB comes back as it was sent") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<std::byte> sent = pattern(10 << 20, 1);
        pair p = co_await connected();
        auto body = [&](task_group& group) -> task<> {
          group.spawn(echo, std::move(p.server));
          group.spawn(send_all, std::ref(p.client), std::span<const std::byte>(sent));
          task<received> receiving = receive_all(p.client);
          const received got = co_await std::move(receiving);
          CHECK(got.count == sent.size());
          CHECK(got.hash == fnv(received().hash, sent));
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("write_all continues short writes when the socket's buffer is tiny") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<std::byte> sent = pattern(1 << 20, 2);
        pair p = co_await connected();
        p.client.set_send_buffer(1);
        auto body = [&](task_group& group) -> task<> {
          const std::size_t taken = co_await p.client.write(sent);
          CHECK(taken > 0);
          CHECK(taken < sent.size());
          const std::span<const std::byte> rest = std::span(sent).subspan(taken);
          group.spawn(send_all, std::ref(p.client), rest);
          task<received> receiving = receive_all(p.server);
          const received got = co_await std::move(receiving);
          CHECK(got.count == sent.size());
          CHECK(got.hash == fnv(received().hash, sent));
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("half a connection can be closed while the other half goes on") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        co_await p.client.write_all("last words");
        co_await p.client.shutdown();
        char buf[64];
        std::size_t n = co_await p.server.read(buf);
        CHECK(std::string(buf, n) == "last words");
        n = co_await p.server.read(buf);
        CHECK(n == 0);
        n = co_await p.server.read(buf);
        CHECK(n == 0);
        co_await p.server.write_all("answer");
        co_await p.server.shutdown(direction::both);
        n = co_await p.client.read(buf);
        CHECK(std::string(buf, n) == "answer");
        n = co_await p.client.read(buf);
        CHECK(n == 0);
      }());
    });
  }

  TEST_CASE("a reset of the peer is an error of the reader, and of the writer without a signal") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        const int fd = descriptor_of(p.server);
        reset(std::move(p.server), fd);
        char buf[16];
        const caught read = co_await catching(p.client.read(buf));
        CHECK(read.code == std::error_code(ECONNRESET, std::system_category()));
        const caught written = co_await catching(p.client.write("x"));
        CHECK(written.code == std::error_code(EPIPE, std::system_category()));
        const caught all = co_await catching(p.client.write_all("xyz"));
        CHECK(all.was_io_error);
        CHECK(all.transferred == 0);
      }());
    });
  }

  TEST_CASE("read_exact on a stream that ends says how much had arrived") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        co_await p.client.write_all("abc");
        co_await p.client.close();
        std::string buffer(10, '.');
        const caught c = co_await catching(p.server.read_exact(buffer));
        CHECK(c.was_io_error);
        CHECK(c.code == std::errc::no_message_available);
        CHECK(c.transferred == 3);
        CHECK(buffer == "abc.......");
        co_await p.server.read_exact(std::span<char>());
      }());
    });
  }

  TEST_CASE("write_all to a peer that goes away says how much it had sent") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<std::byte> much = pattern(64 << 20, 3);
        pair p = co_await connected();
        const int fd = descriptor_of(p.server);
        caught c;
        auto write = [&]() -> task<> {
          task<caught> writing = catching(p.client.write_all(much));
          c = co_await std::move(writing);
        };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(write);
          char buf[1000];
          co_await p.server.read_exact(buf);
          reset(std::move(p.server), fd);
        };
        co_await with_task_group(body);
        CHECK(c.was_io_error);
        CHECK(c.transferred >= 1000);
        CHECK(c.transferred < much.size());
      }());
    });
  }

  TEST_CASE("a refused connection names the peer") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        // On an address where no other program listens: the port is free again before it is asked.
        tcp_listener gone = tcp_listener::bind("127.0.0.9:0");
        const endpoint where = gone.local_endpoint();
        co_await gone.close();
        const caught c = co_await catching(tcp_stream::connect(where));
        CHECK(c.code == std::errc::connection_refused);
        CHECK(c.what.find(where.to_string()) != std::string::npos);
      }());
    });
    CHECK_THROWS_AS((void)tcp_stream::connect("localhost:1"), std::system_error);
  }

  TEST_CASE("an address in use names itself") {
    const nothing_left_behind guard;
    const tcp_listener first = tcp_listener::bind("127.0.0.1:0");
    try {
      const tcp_listener second = tcp_listener::bind(first.local_endpoint());
      FAIL("bound twice");
    } catch (const std::system_error& e) {
      CHECK(e.code() == std::errc::address_in_use);
      CHECK(std::string(e.what()).find(first.local_endpoint().to_string()) != std::string::npos);
    }
    const tcp_listener shared = tcp_listener::bind("127.0.0.1:0", {.reuse_port = true});
    CHECK_NOTHROW(tcp_listener::bind(shared.local_endpoint(), {.reuse_port = true, .backlog = 16}));
  }

  TEST_CASE("a closed, moved-from or empty handle refuses everything with bad_file_descriptor") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        tcp_stream moved = std::move(p.client);
        co_await moved.close();
        co_await moved.close();
        tcp_stream empty;
        char buf[4];
        for (tcp_stream* s : {&p.client, &moved, &empty}) {
          CHECK_FALSE(s->is_open());
          std::vector<caught> all;
          all.push_back(co_await catching(s->read(buf)));
          all.push_back(co_await catching(s->write("x")));
          all.push_back(co_await catching(s->write("")));
          all.push_back(co_await catching(s->shutdown()));
          all.push_back(co_await catching(s->read_exact(buf)));
          all.push_back(co_await catching(s->write_all("x")));
          for (const caught& c : all) CHECK(c.code == std::errc::bad_file_descriptor);
          CHECK_THROWS_AS(s->set_nodelay(true), std::system_error);
          CHECK_THROWS_AS((void)s->local_endpoint(), std::system_error);
          co_await s->close();
        }
        tcp_listener none;
        const caught c = co_await catching(none.accept());
        CHECK(c.code == std::errc::bad_file_descriptor);
        CHECK_THROWS_AS((void)none.local_endpoint(), std::system_error);
      }());
    });
  }

  TEST_CASE("an empty buffer is refused by read and taken by write") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        const caught c = co_await catching(p.client.read(std::span<std::byte>()));
        CHECK(c.code == std::errc::invalid_argument);
        const std::size_t n = co_await p.client.write("");
        CHECK(n == 0);
        co_await p.client.write_all("");
      }());
    });
  }

  TEST_CASE("options are set on the socket, and taken back") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        const int fd = descriptor_of(p.client);
        for (const bool on : {true, false, true}) {
          CAPTURE(on);
          p.client.set_nodelay(on);
          CHECK((option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0) == on);
          p.client.set_keepalive(on);
          CHECK((option_of(fd, SOL_SOCKET, SO_KEEPALIVE) != 0) == on);
        }
        // The system counts its own needs in, and has bounds: twice what was asked for.
        p.client.set_send_buffer(40'000);
        CHECK(option_of(fd, SOL_SOCKET, SO_SNDBUF) == 80'000);
        p.client.set_receive_buffer(30'000);
        CHECK(option_of(fd, SOL_SOCKET, SO_RCVBUF) == 60'000);
      }());
    });
  }

  TEST_CASE("a listener takes its port back at once, and shares it when it is told to") {
    const nothing_left_behind guard;
    const tcp_listener alone = tcp_listener::bind("127.0.0.1:0");
    const tcp_listener shared = tcp_listener::bind("127.0.0.1:0", {.reuse_port = true});
    CHECK(option_of(descriptor_of(alone), SOL_SOCKET, SO_REUSEADDR) == 1);
    CHECK(option_of(descriptor_of(alone), SOL_SOCKET, SO_REUSEPORT) == 0);
    CHECK(option_of(descriptor_of(shared), SOL_SOCKET, SO_REUSEPORT) == 1);
  }

  TEST_CASE("a write to a peer that has ended and takes nothing is cancelled by a busy loop, too") {
    run([]() -> task<> {
      const std::vector<std::byte> much = pattern(64 << 20, 4);
      for (int i = 0; i < 20; ++i) {
        pair p = co_await connected();
        co_await p.server.shutdown();
        bool over = false;
        auto busy = [&]() -> task<> {
          while (!over) co_await yield();
        };
        auto write = [&]() -> task<> {
          auto limited = as_result(
              with_timeout(std::chrono::microseconds(200 + 137 * i), p.client.write_all(much)));
          const result<void> written = co_await limited;
          CHECK_FALSE(written.has_value());
          over = true;
        };
        co_await when_all(busy(), write());
      }
    }());
  }

  TEST_CASE("a read, an accept and a write are cancelled when a sibling fails") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        char buf[4];
        auto read = [&]() -> task<caught> { return catching(p.client.read(buf)); };
        const caught c = co_await cancelled_by_a_sibling(read);
        CHECK(c.was_cancelled);
        // It had no effect: the stream goes on.
        co_await p.server.write_all("next");
        co_await p.client.read_exact(buf);
        CHECK(std::string(buf, 4) == "next");

        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        auto accept = [&]() -> task<caught> { return catching(listener.accept()); };
        const caught a = co_await cancelled_by_a_sibling(accept);
        CHECK(a.was_cancelled);
        const tcp_stream late = co_await tcp_stream::connect(listener.local_endpoint());
        const tcp_stream accepted = co_await listener.accept();
        CHECK(accepted.peer_endpoint() == late.local_endpoint());

        const std::vector<std::byte> much = pattern(64 << 20, 4);
        auto write = [&]() -> task<caught> { return catching(p.client.write_all(much)); };
        const int server = descriptor_of(p.server);
        auto some_has_come = [server] {
          char first = 0;
          return ::recv(server, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
        };
        const caught w = co_await cancelled_by_a_sibling(write, some_has_come);
        CHECK(w.was_cancelled);
        CHECK(w.transferred > 0);
        CHECK(w.transferred < much.size());
        // What was said to be sent was sent, and nothing else.
        co_await p.client.shutdown();
        const received got = co_await receive_all(p.server);
        CHECK(got.count == w.transferred);
        CHECK(got.hash == fnv(received().hash, std::span(much).first(w.transferred)));
      }());
    });
  }

  TEST_CASE("a connect that nobody answers is cancelled and closes its socket") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        // A backlog of one that is full: further connects wait.
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0", {.backlog = 0});
        const endpoint where = listener.local_endpoint();
        std::vector<tcp_stream> fill;
        const std::size_t before = weft::tests::open_descriptors();
        tcp_stream first = co_await tcp_stream::connect(where);
        auto connect = [&]() -> task<caught> { return catching(tcp_stream::connect(where)); };
        const caught c = co_await cancelled_by_a_sibling(connect);
        CHECK(c.was_cancelled);
        CHECK(weft::tests::open_descriptors() == before + 1);
      }());
    });
  }

  TEST_CASE("a second reader at the same time is refused, a writer is not") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        auto read = [&]() -> task<> {
          char buf[4];
          co_await p.client.read_exact(buf);
        };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(read);
          while (dump_tasks().find("waits for tcp_stream::read") == std::string::npos)
            co_await yield();
          char mine[4];
          const caught c = co_await catching(p.client.read(mine));
          CHECK(c.code == std::errc::device_or_resource_busy);
          co_await p.client.write_all("go on");
          co_await p.server.write_all("done");
        };
        co_await with_task_group(body);
      }());
    });
  }

  TEST_CASE("close ends what other tasks wait for, and the peer sees the end") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        const std::vector<std::byte> much = pattern(64 << 20, 5);
        pair p = co_await connected();
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        caught read, written, accepted;
        char buf[4];
        auto reader = [&]() -> task<> { read = co_await catching(p.client.read(buf)); };
        auto writer = [&]() -> task<> { written = co_await catching(p.client.write_all(much)); };
        auto acceptor = [&]() -> task<> { accepted = co_await catching(listener.accept()); };
        auto body = [&](task_group& group) -> task<> {
          group.spawn(reader);
          group.spawn(writer);
          group.spawn(acceptor);
          char first[1];
          co_await p.server.read_exact(first);  // now the others wait in the kernel
          co_await p.client.close();
          co_await listener.close();
          const received got = co_await receive_all(p.server);
          CHECK(got.count > 0);
        };
        co_await with_task_group(body);
        CHECK(read.code == std::errc::bad_file_descriptor);
        CHECK(written.code == std::errc::bad_file_descriptor);
        CHECK(written.was_io_error);
        CHECK(accepted.code == std::errc::bad_file_descriptor);
      }());
    });
  }

  TEST_CASE("close under a stopped scope closes nevertheless") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        bool closed = false;
        auto body = [&](task_group& group) -> task<> {
          group.cancel();
          co_await p.client.close();
          closed = true;
        };
        co_await with_task_group(body);
        CHECK(closed);
        char buf[4];
        const std::size_t n = co_await p.server.read(buf);
        CHECK(n == 0);
      }());
    });
  }

  TEST_CASE("an await under a stopped scope starts nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        co_await p.client.write_all("here");
        char buf[8] = {};
        caught read, written, shut;
        auto body = [&](task_group& group) -> task<> {
          group.cancel();
          read = co_await catching(p.server.read(buf));
          written = co_await catching(p.server.write("x"));
          shut = co_await catching(p.server.shutdown());
        };
        co_await with_task_group(body);
        CHECK(read.was_cancelled);
        CHECK(written.was_cancelled);
        CHECK(shut.was_cancelled);
        const std::size_t n = co_await p.server.read(buf);
        CHECK(std::string(buf, n) == "here");
        co_await p.server.shutdown();
        const std::size_t none = co_await p.client.read(buf);
        CHECK(none == 0);
      }());
    });
  }

  TEST_CASE("bytes received while a cancel is on its way are delivered, never lost") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair p = co_await connected();
        const int client = descriptor_of(p.client);
        std::string sent;
        std::string got;
        int delivered = 0;
        int refused = 0;
        constexpr int rounds = 1000;
        for (int round = 0; round < rounds; ++round) {
          const std::string piece = "<" + std::to_string(round) + ">";
          auto read = [&]() -> task<> {
            char buf[256];
            const result<std::size_t> r = co_await as_result(p.server.read(buf));
            if (r) {
              got.append(buf, *r);
              ++delivered;
            } else if (r.error() == std::errc::operation_canceled) {
              ++refused;
            }
          };
          auto body = [&](task_group& group) -> task<> {
            group.spawn(read);
            for (int i = 0; i < round % 4; ++i) co_await yield();
            // The bytes and the cancel reach the ring in one turn, in either order, or the bytes a
            // turn before.
            if (round % 3 == 0) group.cancel();
            if (round % 3 == 2)
              co_await p.client.write_all(piece);
            else
              REQUIRE(::send(client, piece.data(), piece.size(), MSG_NOSIGNAL) ==
                      static_cast<ssize_t>(piece.size()));
            sent += piece;
            group.cancel();
          };
          co_await with_task_group(body);
        }
        CHECK(delivered + refused == rounds);
        CHECK(delivered > 0);
        co_await p.client.shutdown();
        char buf[4096];
        while (auto n = co_await p.server.read(buf)) got.append(buf, n);
        CHECK(got == sent);
      }());
    });
  }

  TEST_CASE("a read that one worker submitted resumes on another when the first is busy") {
    // Two reads are submitted on one worker and completed in one turn, while a task keeps the other
    // worker busy. The first to be resumed computes until the second has been: that can only be
    // done by the other worker, which is free by then.
    run({.workers = 2}, []() -> task<> {
      struct reader {
        tcp_stream client{};
        tcp_stream server{};
        std::thread::id submitted{};
        std::thread::id resumed{};
        std::string got{};
      };
      std::array<reader, 2> readers;
      for (reader& r : readers) {
        pair p = co_await connected();
        r.client = std::move(p.client);
        r.server = std::move(p.server);
      }
      for (int round = 0; round < 20; ++round) {
        std::atomic<bool> busy = false;
        std::atomic<int> resumed = 0;
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        const auto compute_until = [give_up](auto condition) {
          while (!condition() && std::chrono::steady_clock::now() < give_up)
            std::this_thread::yield();
        };
        auto keep_busy = [&]() -> task<> {
          busy = true;
          compute_until([&] { return resumed != 0; });
          co_return;
        };
        auto read = [&](reader& r) -> task<> {
          char buf[16];
          r.submitted = std::this_thread::get_id();
          const std::size_t n = co_await r.server.read(buf);
          r.resumed = std::this_thread::get_id();
          r.got.assign(buf, n);
          if (resumed++ == 0) compute_until([&] { return resumed == 2; });
        };
        auto body = [&](task_group& group) -> task<> {
          for (std::size_t i = 0; i < readers.size(); ++i) {
            reader& r = readers[i];
            co_await r.client.write_all(std::to_string(2 * round + static_cast<int>(i)));
            pollfd arrived{.fd = descriptor_of(r.server), .events = POLLIN, .revents = 0};
            REQUIRE(::poll(&arrived, 1, 20'000) == 1);
          }
          group.spawn(keep_busy);
          compute_until([&] { return busy.load(); });
          for (reader& r : readers) group.spawn(read, std::ref(r));
        };
        co_await with_task_group(body);
        CHECK(readers[0].submitted == readers[1].submitted);
        CHECK(readers[0].resumed != readers[1].resumed);
        for (std::size_t i = 0; i < readers.size(); ++i)
          CHECK(readers[i].got == std::to_string(2 * round + static_cast<int>(i)));
      }
    }());
  }

  TEST_CASE("a connection accepted while a cancel is on its way is delivered, never lost") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        const endpoint where = listener.local_endpoint();
        int delivered = 0;
        constexpr int rounds = 300;
        for (int round = 0; round < rounds; ++round) {
          auto accept = [&]() -> task<> {
            result<tcp_stream> r = co_await as_result(listener.accept());
            if (r) ++delivered;
          };
          auto body = [&](task_group& group) -> task<> {
            group.spawn(accept);
            for (int i = 0; i < round % 4; ++i) co_await yield();
            const tcp_stream client = co_await tcp_stream::connect(where);
            for (int i = 0; i < round % 3; ++i) co_await yield();
            group.cancel();
          };
          co_await with_task_group(body);
        }
        // What was not delivered still waits to be accepted: none is lost.
        for (int left = rounds - delivered; left > 0; --left)
          const tcp_stream rest = co_await listener.accept();
        auto accept = [&]() -> task<caught> { return catching(listener.accept()); };
        const caught none = co_await cancelled_by_a_sibling(accept);
        CHECK(none.was_cancelled);
      }());
    });
  }

  TEST_CASE("many connections are served at once") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        const endpoint where = listener.local_endpoint();
        constexpr int count = 200;
        int good = 0;
        auto client = [&](int i) -> task<bool> {
          tcp_stream s = co_await tcp_stream::connect(where);
          const std::string text = "message " + std::to_string(i);
          co_await s.write_all(text);
          std::string back(text.size(), ' ');
          co_await s.read_exact(back);
          co_return back == text;
        };
        auto acceptor = [&](task_group& group) -> task<> {
          for (int i = 0; i < count; ++i) {
            tcp_stream s = co_await listener.accept();
            group.spawn(echo, std::move(s));
          }
        };
        auto body = [&](task_group& group) -> task<> {
          group.spawn([&]() -> task<> { co_await acceptor(group); });
          std::vector<task<bool>> clients;
          for (int i = 0; i < count; ++i) clients.push_back(client(i));
          const std::vector<bool> all = co_await when_all(std::move(clients));
          for (const bool ok : all) good += ok;
        };
        co_await with_task_group(body);
        CHECK(good == count);
      }());
    });
  }
}

}  // namespace tcp_test

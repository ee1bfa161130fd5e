// SPDX-License-Identifier: MIT
#include "support/both_schedulers.hpp"
#include "support/caught.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_kernel.hpp"
#include "weft/io/buffered_reader.hpp"
#include "weft/io/file.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/pipeline.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/yield.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lines_test {

using namespace weft;
using namespace weft::tests;

namespace {

using texts = std::vector<std::string>;

/// A stream of a given text that arrives in pieces of at most `piece` bytes.
class text_stream {
public:
  text_stream(std::string text, std::size_t piece) : text_(std::move(text)), piece_(piece) {}

  task<std::size_t> read(mutable_buffer buffer) {
    co_await yield();
    ++reads;
    const std::size_t count = std::min({buffer.size(), piece_, text_.size() - at_});
    std::memcpy(buffer.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

  /// Asked of it so far.
  int reads = 0;

private:
  std::string text_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

task<texts> all_of(async_generator<std::string> source) {
  texts got;
  auto keep = [&got](std::string line) { got.push_back(std::move(line)); };
  co_await for_each(std::move(source), keep);
  co_return got;
}

task<caught> failure_of(async_generator<std::string> source) {
  auto ignore = [](const std::string&) {};
  return catching(for_each(std::move(source), ignore));
}

struct pair {
  tcp_stream client;
  tcp_stream server;
};

task<pair> connected() {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  pair both;
  both.client = co_await tcp_stream::connect(listener.local_endpoint());
  both.server = co_await listener.accept();
  co_return both;
}

}  // namespace

TEST_SUITE("io/lines") {
  TEST_CASE("lines come without their ends, however the stream is cut into pieces") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t piece : {1u, 2u, 3u, 100u}) {
          text_stream stream("one\r\n\ntwo\r\nan\rd\n\r\nlast", piece);
          buffered_reader reader(stream);
          const texts got = co_await all_of(reader.lines());
          CHECK(got == texts{"one", "", "two", "an\rd", "", "last"});
        }
        text_stream ended("one\n", 100);
        buffered_reader reader(ended);
        const texts got = co_await all_of(reader.lines());
        CHECK(got == texts{"one"});
      }());
    });
  }

  TEST_CASE("lines that arrive together take one read, lines of any length all of their bytes") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        text_stream together("a\nb\nc\n", 100);
        const texts abc = co_await all_of(buffered_reader(together).lines());
        CHECK(abc.size() == 3);
        CHECK(together.reads == 2);
        texts sent;
        std::string all;
        for (std::size_t i = 0; i < 60; ++i) {
          sent.emplace_back(i * 997, static_cast<char>('a' + i % 26));
          all += sent.back() + '\n';
        }
        for (const std::size_t piece : {777u, 100'000u}) {
          text_stream stream(all, piece);
          buffered_reader reader(stream);
          const texts got = co_await all_of(reader.lines());
          CHECK(got == sent);
        }
      }());
    });
  }

  TEST_CASE("a line over the bound is refused, one at the bound is not") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t piece : {1u, 1000u}) {
          text_stream fits("12345\n123\n", piece);
          buffered_reader fits_reader(fits);
          const texts got = co_await all_of(fits_reader.lines(5));
          CHECK(got == texts{"12345", "123"});
          for (const char* text : {"123456\n", "123456"}) {
            text_stream longer(text, piece);
            buffered_reader reader(longer);
            const caught c = co_await failure_of(reader.lines(5));
            CHECK(c.code == std::errc::message_size);
            CHECK(reader.buffered().substr(0, 6) == "123456");
          }
        }
      }());
    });
  }

  TEST_CASE("a peer that never ends its line is read no further than the bound asks") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        text_stream endless(std::string(1'000'000, 'x'), 1'000'000);
        buffered_reader reader(endless);
        const caught c = co_await failure_of(reader.lines(20'000));
        CHECK(c.code == std::errc::message_size);
        CHECK(reader.buffered().size() <= 40'000);
      }());
    });
  }

  TEST_CASE("read_until gives the record with its delimiter, and keeps what came behind it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t piece : {1u, 2u, 5u, 100u}) {
          text_stream stream("head: 1\r\n\r\nbody1line\nrest", piece);
          buffered_reader reader(stream);
          const auto head = co_await reader.read_until("\r\n\r\n", 100);
          CHECK(head == "head: 1\r\n\r\n");
          char body[5];
          co_await reader.read_exact(body);
          CHECK(std::string_view(body, 5) == "body1");
          auto lines = reader.lines();
          auto line = co_await lines.next();
          CHECK(line == "line");
          std::string rest(10, '.');
          std::size_t done = 0;
          while (auto n = co_await reader.read({rest.data() + done, rest.size() - done})) done += n;
          CHECK(rest.substr(0, done) == "rest");
          const auto end = co_await reader.read_until("\n", 100);
          CHECK_FALSE(end);
        }
      }());
    });
  }

  TEST_CASE("a stream that ends within a record is an error, and loses nothing") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        text_stream stream("no end", 3);
        buffered_reader reader(stream);
        const caught c = co_await catching(reader.read_until("\n", 100));
        CHECK(c.was_io_error);
        CHECK(c.code == std::errc::no_message_available);
        CHECK(c.transferred == 6);
        CHECK(reader.buffered() == "no end");
        std::string all(7, '.');
        const caught exact = co_await catching(reader.read_exact(all));
        CHECK(exact.code == std::errc::no_message_available);
        CHECK(exact.transferred == 6);
        CHECK(all == "no end.");
      }());
    });
  }

  TEST_CASE("a record over the bound is refused, one at the bound is not, nor is it lost") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        for (const std::size_t piece : {1u, 100u}) {
          text_stream stream("1234--56", piece);
          buffered_reader reader(stream);
          const caught c = co_await catching(reader.read_until("--", 3));
          CHECK(c.code == std::errc::message_size);
          const auto again = co_await reader.read_until("--", 4);
          CHECK(again == "1234--");
        }
        text_stream stream("x", 1);
        buffered_reader reader(stream);
        const caught empty = co_await catching(reader.read_until("", 3));
        CHECK(empty.code == std::errc::invalid_argument);
      }());
    });
  }

  TEST_CASE("a cancelled read_until keeps what had arrived for the next call") {
    on_both([](const run_options& options) {
      run(options, [](bool alone) -> task<> {
        pair both = co_await connected();
        buffered_reader reader(both.server);
        auto body = [&](task_group& g) -> task<> {
          g.spawn([&reader]() -> task<> { (void)co_await reader.read_until("\n", 100); });
          co_await both.client.write_all("first ");
          // On a pool the reader is the child's until that has ended; whether it has read by then
          // or not is the same to the next call.
          if (alone)
            while (reader.buffered().empty()) co_await yield();
          else
            for (int i = 0; i < 100; ++i) co_await yield();
          g.cancel();
        };
        co_await with_task_group(body);
        co_await both.client.write_all("half\nmore");
        const auto line = co_await reader.read_until("\n", 100);
        CHECK(line == "first half\n");
      }(options.workers == 1));
    });
  }

  TEST_CASE("the lines of a connection end with it") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair both = co_await connected();
        auto send = [&both]() -> task<> {
          for (int i = 0; i < 1000; ++i) {
            const std::string line = std::to_string(i) + "\r\n";
            co_await both.client.write_all(line);
          }
          co_await both.client.shutdown();
        };
        auto [sent, got] = co_await when_all(send(), all_of(both.server.lines()));
        (void)sent;
        CHECK(got.size() == 1000);
        CHECK(got.back() == "999");
      }());
    });
  }

  TEST_CASE("a cancel ends the lines of a connection that is silent") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        pair both = co_await connected();
        auto lines = both.server.lines();
        bool was_cancelled = false;
        auto body = [&](task_group& g) -> task<> {
          event waits;
          auto child = [&]() -> task<> {
            waits.set();
            const caught c = co_await catching(lines.next());
            was_cancelled = c.was_cancelled;
          };
          g.spawn(child);
          co_await waits.wait();
          g.cancel();
        };
        co_await with_task_group(body);
        CHECK(was_cancelled);
      }());
    });
  }

  TEST_CASE("a connection that fails fails its lines") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_stream closed;
        const caught c = co_await failure_of(closed.lines());
        CHECK(c.code == std::errc::bad_file_descriptor);
      }());
    });
  }

  TEST_CASE("the lines of a file are those from a position on") {
    on_both([](const run_options& options) {
      const temporary_directory dir;
      std::string all;
      for (int i = 0; i < 30'000; ++i) all += std::to_string(i) + '\n';
      write_file(dir / "file", all + "end");
      run(options, [](std::filesystem::path path) -> task<> {
        file f = co_await file::open(path);
        const texts got = co_await all_of(f.lines());
        CHECK(got.size() == 30'001);
        CHECK(got[29'999] == "29999");
        CHECK(got.back() == "end");
        const texts some = co_await all_of(f.lines(100, 20) | take(2));
        CHECK(some == texts{"10", "11"});
        const caught c = co_await failure_of(f.lines(4));
        CHECK(c.code == std::errc::message_size);
      }(dir / "file"));
    });
  }

  TEST_CASE("connections gives those that arrive, and ends with the listener") {
    on_both([](const run_options& options) {
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        const endpoint where = listener.local_endpoint();
        std::size_t served = 0;
        caught ended;
        auto server = [&]() -> task<> {
          auto all = listener.connections();
          auto greet = [&served](tcp_stream stream) -> task<> {
            co_await stream.write_all("hello\n");
            ++served;
          };
          ended = co_await catching(for_each(std::move(all), greet));
        };
        auto body = [&](task_group& g) -> task<> {
          g.spawn(server);
          for (int i = 0; i < 5; ++i) {
            tcp_stream client = co_await tcp_stream::connect(where);
            const texts got = co_await all_of(client.lines());
            CHECK(got == texts{"hello"});
          }
          co_await listener.close();
        };
        co_await with_task_group(body);
        CHECK(served == 5);
        CHECK(ended.code == std::errc::bad_file_descriptor);
      }());
    });
  }

  TEST_CASE("connections goes on after what happened to one of them") {
    on_both([](run_options options) {
      int accepts = 0;
      test_kernel kernel;
      kernel.on_entry = [&accepts](const io_uring_sqe& entry) -> test_kernel::entry_plan {
        if (entry.opcode != IORING_OP_ACCEPT) return {};
        const int errors[] = {ECONNABORTED, EMFILE, 0};
        const int error = errors[std::min(accepts++, 2)];
        if (error == 0) return {};
        return {.result = -error};
      };
      options.kernel = &kernel;
      run(options, []() -> task<> {
        tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
        auto all = listener.connections();
        auto [client, server] =
            co_await when_all(tcp_stream::connect(listener.local_endpoint()), all.next());
        CHECK(client.is_open());
        CHECK(server.has_value());
      }());
      CHECK(accepts == 3);
    });
  }
}

}  // namespace lines_test

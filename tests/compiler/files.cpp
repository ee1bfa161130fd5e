// SPDX-License-Identifier: MIT
// Files, directories and a server, as the documentation spells them, in a temporary directory and
// on a port that the system chooses. What the callables hold is destroyed once.
#include "../support/counted.hpp"
#include "weft/weft.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

using weft::open_mode;
using weft::tests::counted;

namespace {

constexpr const char* text = "a text that is long enough to lie on the heap";

weft::task<bool> write_and_read(std::string directory) {
  auto f = co_await weft::file::open(directory + "/one",
                                     open_mode::read | open_mode::write | open_mode::create);
  co_await f.write_all_at(0, std::string(text));
  auto written = co_await f.write_at(45, std::string(" and longer"));
  co_await f.sync();
  std::array<char, 20> start;
  auto n = co_await f.read_at(0, start);
  char word[4];
  co_await f.read_exact_at(2, word);
  auto size = co_await f.size();
  auto all = co_await f.read_all();
  std::array<char, 20> rest;
  auto none = co_await weft::as_result(f.read_exact_at(50, rest));
  co_await f.close();
  co_return written == 11 && n == 20 && std::string(start.data(), n) == "a text that is long " &&
      std::string(word, 4) == "text" && size == 56 && all == std::string(text) + " and longer" &&
      !none.has_value();
}

weft::task<bool> look_around(std::string directory) {
  co_await weft::fs::create_directory(directory + "/below");
  auto two =
      co_await weft::file::open(directory + "/below/two", open_mode::write | open_mode::create);
  co_await two.close();

  auto entries = co_await weft::fs::directory_entries(directory);
  auto status = co_await weft::fs::status(directory + "/one");
  std::size_t visited = 0;
  co_await weft::fs::walk(
      directory, [&](const weft::fs::directory_entry& entry) { visited += entry.name().size(); });
  auto visit = [&visited, c = counted(1)](const weft::fs::directory_entry&) -> weft::task<> {
    co_await weft::yield();
    visited += static_cast<std::size_t>(c.number);
  };
  co_await weft::fs::walk(directory, visit);
  auto missing = co_await weft::as_result(weft::file::open(directory + "/nowhere"));
  co_return entries.size() == 2 && status.size == 56 && visited == 3 + 5 + 3 + 3 &&
      !missing.has_value() && missing.error() == std::errc::no_such_file_or_directory;
}

weft::task<> echo(weft::tcp_stream s) {
  std::array<std::byte, 64> storage;
  std::span<std::byte> buf = storage;
  while (auto n = co_await s.read(buf)) co_await s.write_all(buf.first(n));
}

weft::task<bool> ask(weft::endpoint server) {
  auto s = co_await weft::tcp_stream::connect(server);
  co_await s.write_all(std::string(text));
  co_await s.shutdown();
  std::string back;
  char buf[16];
  while (auto n = co_await s.read(buf)) back.append(std::span(buf).first(n).data(), n);
  co_return back == text;
}

weft::task<bool> serve_with(bool function) {
  auto l = weft::tcp_listener::bind("127.0.0.1:0");
  bool right = false;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    g.spawn([&]() -> weft::task<> {
      right = co_await ask(l.local_endpoint());
      g.cancel();
    });
    auto handler = [c = counted(1)](weft::tcp_stream s) -> weft::task<> {
      if (c.number == 1) co_await echo(std::move(s));
    };
    if (function) {
      co_await weft::serve(l, echo);
    } else {
      co_await weft::serve(l, handler);
    }
  });
  co_return right;
}

weft::task<int> amain(std::string directory) {
  bool ok = co_await write_and_read(directory);
  if (!ok) co_return 1;
  ok = co_await look_around(directory);
  if (!ok) co_return 2;
  ok = co_await serve_with(true);
  if (!ok) co_return 3;
  ok = co_await serve_with(false);
  co_return ok ? 0 : 4;
}

/// Runs everything in a directory of its own.
int run_in_directory(unsigned workers) {
  std::string directory = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return 8;
  const int failed = weft::run({.workers = workers}, amain(directory));
  std::filesystem::remove_all(directory);
  return counted::alive() == 0 ? failed : 9;
}

}  // namespace

int main() {
  const int loop = run_in_directory(1);
  if (loop != 0) return loop;
  const int pool = run_in_directory(2);
  return pool == 0 ? 0 : 10 + pool;
}

// SPDX-License-Identifier: MIT
// The echo server of the documentation, with a client that ends it.
#include "weft/io/tcp.hpp"
#include "weft/weft.hpp"

#include <span>
#include <string>

namespace {

weft::task<> echo(weft::tcp_stream s) {
  char buf[64];
  while (auto n = co_await s.read(buf)) co_await s.write_all(std::span(buf).first(n));
}

weft::task<int> amain() {
  auto l = weft::tcp_listener::bind("127.0.0.1:0");
  bool same = false;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    g.spawn([&]() -> weft::task<> {
      auto s = co_await weft::tcp_stream::connect(l.local_endpoint());
      std::string text = "to and fro";
      co_await s.write_all(text);
      char back[10];
      co_await s.read_exact(back);
      same = std::string(back, sizeof back) == text;
      g.cancel();
    });
    for (;;) g.spawn(echo, co_await l.accept());
  });
  co_return same ? 0 : 1;
}

}  // namespace

int main() {
  const int loop = weft::run(amain());
  return loop != 0 ? loop : weft::run({.workers = 2}, amain());
}

// SPDX-License-Identifier: MIT
// The spellings that users see in the documentation, each as it stands there.
#include "weft/weft.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::atomic<int> refreshed = 0;

weft::task<int> f() { co_return 1; }
weft::task<std::string> g() { co_return std::string("a string long enough for the heap"); }

weft::task<> refresh(std::string key) {
  co_await weft::yield();
  refreshed += static_cast<int>(key.size());
}

weft::task<int> fib(int n) {
  if (n < 2) co_return n;
  auto [x, y] = co_await weft::when_all(fib(n - 1), fib(n - 2));
  co_return x + y;
}

struct job {
  std::string name;
};

weft::task<bool> all() {
  auto [a, b] = co_await weft::when_all(f(), g());
  co_return a == 1 && b == "a string long enough for the heap";
}

weft::task<bool> group() {
  std::vector<std::string> keys{"one", "three", "a key long enough for the heap"};
  co_await weft::with_task_group([&](auto& group) -> weft::task<> {
    for (auto& k : keys) group.spawn(refresh, k);
    co_return;
  });
  co_return refreshed == 3 + 5 + 30;
}

weft::task<bool> workers() {
  std::atomic<int> done = 0;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    auto [tx, rx] = weft::channel<job>(64);
    g.spawn_n(8, [rx, &done]() -> weft::task<> {
      while (auto j = co_await rx.receive()) done += static_cast<int>(j->name.size());
    });
    for (int i = 0; i < 100; ++i) {
      job j{"a job whose name lies on the heap"};
      co_await tx.send(j);
    }
    tx.close();
  });
  co_return done == 3300;
}

weft::task<bool> limited() {
  weft::semaphore sem{10};
  weft::mutex m;
  {
    auto permit = co_await sem.acquire();
    auto lock = co_await m.lock();
    if (sem.available() != 9) co_return false;
  }
  co_return sem.available() == 10;
}

weft::task<bool> hop() {
  weft::thread_pool cpu({.workers = 2});
  auto text = co_await weft::on(cpu, g());
  co_return text.size() == 33;
}

weft::task<bool> outcome() {
  auto r = co_await weft::as_result(weft::sleep_for(1ms));
  auto s = co_await weft::as_result(g());
  co_return r.has_value() && s.has_value() && s->size() == 33;
}

weft::task<int> amain() {
  bool ok = co_await all();
  if (!ok) co_return 1;
  ok = co_await group();
  if (!ok) co_return 2;
  ok = co_await workers();
  if (!ok) co_return 3;
  int n = co_await fib(10);
  if (n != 55) co_return 4;
  ok = co_await limited();
  if (!ok) co_return 5;
  ok = co_await hop();
  if (!ok) co_return 6;
  ok = co_await outcome();
  co_return ok ? 0 : 7;
}

}  // namespace

int main() {
  const int loop = weft::run(amain());
  if (loop != 0) return loop;
  refreshed = 0;
  const int pool = weft::run({.workers = 2}, amain());
  return pool == 0 ? 0 : 10 + pool;
}

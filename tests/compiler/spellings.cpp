// SPDX-License-Identifier: MIT
// The spellings that users see in the documentation, each as it stands there. The values that pass
// through are counted: none is left at the end, and none is destroyed twice.
#include "../support/counted.hpp"
#include "weft/weft.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using weft::tests::counted;

namespace {

std::atomic<int> refreshed = 0;

weft::task<int> f() { co_return 1; }
weft::task<std::string> g() { co_return std::string("a string long enough for the heap"); }
weft::task<counted> make(int n) { co_return counted(n); }
weft::task<counted> pass(counted c) {
  co_await weft::yield();
  co_return c;
}

weft::task<> refresh(std::string key, counted c) {
  co_await weft::yield();
  refreshed += static_cast<int>(key.size()) * c.number;
}

weft::task<int> fib(int n) {
  if (n < 2) co_return n;
  auto [x, y] = co_await weft::when_all(fib(n - 1), fib(n - 2));
  co_return x + y;
}

struct job {
  std::string name;
  counted c;
};

weft::task<bool> all() {
  auto [a, b, c] = co_await weft::when_all(f(), g(), pass(counted(3)));
  co_return a == 1 && b == "a string long enough for the heap" && c.number == 3;
}

weft::task<bool> all_of_a_vector() {
  std::vector<weft::task<counted>> tasks;
  for (int n = 0; n < 10; ++n) tasks.push_back(pass(counted(n)));
  std::vector<counted> values = co_await weft::when_all(std::move(tasks));
  int sum = 0;
  for (const counted& c : values) sum += c.number;

  std::vector<weft::task<>> refreshing;
  refreshing.push_back(refresh("abc", counted(0)));
  co_await weft::when_all(std::move(refreshing));
  co_return sum == 45;
}

weft::task<bool> all_of_an_array() {
  std::array tasks{make(1), pass(counted(2))};
  auto [a, b] = co_await weft::when_all(std::move(tasks));
  co_return a.number == 1 && b.number == 2;
}

weft::task<bool> group() {
  std::vector<std::string> keys{"one", "three", "a key long enough for the heap"};
  co_await weft::with_task_group([&](auto& group) -> weft::task<> {
    for (auto& k : keys) group.spawn(refresh, k, counted(1));
    co_return;
  });
  co_return refreshed == 3 + 5 + 30;
}

weft::task<bool> handles() {
  int sum = 0;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    auto h = g.spawn(pass, counted(4));
    auto made = g.spawn(make(5));
    auto failing = g.spawn(pass, counted(6));
    auto r = co_await weft::as_result(failing);
    const counted c = co_await h;
    sum = c.number + (co_await made).number + r->number;
  });
  co_return sum == 15;
}

weft::task<> listen(weft::task_status<counted>& status, std::string address, counted c) {
  co_await weft::yield();
  status.started(counted(static_cast<int>(address.size()) + c.number));
  co_await weft::sleep_for(1h);
}

weft::task<bool> started() {
  int sum = 0;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    sum += (co_await g.start(listen, std::string("an address"), counted(1))).number;
    auto named = [c = counted(2), text = std::string("a text that lies on the heap")](
                     weft::task_status<std::string>& status) -> weft::task<> {
      status.started(text);
      co_return;
    };
    const std::string said = co_await g.start(named);
    sum += static_cast<int>(said.size());
    co_await g.start([&sum](weft::task_status<>& status) -> weft::task<> {
      ++sum;
      status.started();
      co_return;
    });
    g.cancel();
  });
  co_return sum == 11 + 28 + 1;
}

weft::task<> fail_when(weft::event& begun, std::string why, counted) {
  co_await begun.wait();
  throw std::runtime_error(why);
}

weft::task<bool> failures() {
  weft::group_failures others;
  weft::event begun;
  auto body = [&, c = counted(1)](weft::task_group& g) -> weft::task<> {
    for (int n = 0; n < 3; ++n)
      g.spawn(fail_when, std::ref(begun), std::string("a reason of some length, on the heap"), c);
    begun.set();
    co_return;
  };
  std::string first;
  try {
    co_await weft::with_task_group({.failures = &others}, body);
  } catch (const std::runtime_error& e) {
    first = e.what();
  }
  co_return first.size() == 36 && others.count() <= 2;
}

weft::task<bool> events() {
  weft::event ready;
  bool seen = false;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    g.spawn([&]() -> weft::task<> {
      co_await ready.wait();
      seen = true;
    });
    const auto deadline = std::chrono::steady_clock::now() + 1ms;
    co_await weft::sleep_until(deadline);
    if (std::chrono::steady_clock::now() >= deadline) ready.set();
  });
  co_return seen;
}

weft::task<bool> workers() {
  std::atomic<int> done = 0;
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    auto [tx, rx] = weft::channel<job>(64);
    g.spawn_n(8, [rx, &done]() -> weft::task<> {
      while (auto j = co_await rx.receive()) done += static_cast<int>(j->name.size()) * j->c.number;
    });
    for (int i = 0; i < 100; ++i) {
      job j{"a job whose name lies on the heap", counted(1)};
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
  auto c = co_await weft::on(cpu, pass(counted(7)));
  co_return text.size() == 33 && c.number == 7;
}

weft::task<bool> outcome() {
  auto r = co_await weft::as_result(weft::sleep_for(1ms));
  auto s = co_await weft::as_result(g());
  auto c = co_await weft::as_result(pass(counted(8)));
  auto [tx, rx] = weft::channel<counted>(1);
  auto sent = co_await weft::as_result(tx.send(counted(9)));
  auto received = co_await weft::as_result(rx.receive());
  co_return r.has_value() && s.has_value() && s->size() == 33 && c->number == 8 &&
      sent.has_value() && (*received)->number == 9;
}

weft::task<bool> recursion() {
  int n = co_await fib(10);
  co_return n == 55;
}

struct spelling {
  const char* name;
  weft::task<bool> (*run)();
};

constexpr spelling spellings[] = {
    {"all", all},
    {"all_of_a_vector", all_of_a_vector},
    {"all_of_an_array", all_of_an_array},
    {"group", group},
    {"handles", handles},
    {"started", started},
    {"failures", failures},
    {"events", events},
    {"workers", workers},
    {"recursion", recursion},
    {"limited", limited},
    {"hop", hop},
    {"outcome", outcome},
};

}  // namespace

int main() {
  int failed = 0;
  for (const unsigned workers : {1u, 2u}) {
    refreshed = 0;
    for (const spelling& s : spellings) {
      const bool right = weft::run({.workers = workers}, s.run());
      if (right && counted::alive() == 0) continue;
      std::printf("%s on %u: %s, %d values left\n", s.name, workers, right ? "right" : "wrong",
                  counted::alive());
      ++failed;
    }
  }
  return failed;
}

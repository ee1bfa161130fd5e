// SPDX-License-Identifier: MIT
// The spellings of time limits, of the first of several, of structure and of signals, each as it
// stands in the documentation. The values that pass through are counted: none is left at the end,
// and none is destroyed twice.
#include "../support/counted.hpp"
#include "weft/weft.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using weft::tests::counted;

namespace {

weft::task<counted> pass(counted c) {
  co_await weft::yield();
  co_return c;
}
weft::task<counted> late(int number) {
  co_await weft::sleep_for(1h);
  co_return counted(number);
}
weft::task<> serve() { co_await weft::sleep_for(1h); }
weft::task<> say_goodbye(counted c) {
  co_await weft::yield();
  (void)c;
}

weft::task<bool> limits() {
  auto c = co_await weft::with_timeout(1h, pass(counted(1)));
  const auto tp = std::chrono::steady_clock::now() + 1h;
  auto d = co_await weft::with_deadline(tp, pass(counted(2)));
  auto r = co_await weft::as_result(weft::with_timeout(1ms, late(3)));
  bool thrown = false;
  try {
    co_await weft::with_timeout(1ms, weft::sleep_for(1h));
  } catch (const weft::timeout_error&) {
    thrown = true;
  }
  co_return c.number == 1 && d.number == 2 && r.error() == std::errc::timed_out&& thrown;
}

weft::task<bool> first_of_several() {
  auto w = co_await weft::when_any(late(1), pass(counted(2)));
  auto v = co_await weft::when_any(serve(), weft::sleep_for(1ms));
  std::vector<weft::task<counted>> tasks;
  tasks.push_back(late(4));
  tasks.push_back(pass(counted(5)));
  auto of_many = co_await weft::when_any(std::move(tasks));
  co_return w.index() == 1 && std::get<1>(w).number == 2 && v.index() == 1 && of_many.index == 1 &&
      of_many.value.number == 5;
}

weft::task<bool> clean_up() {
  auto c = co_await weft::shield(pass(counted(1)), 1s);
  auto goodbye = [] { return say_goodbye(counted(2)); };
  auto d = co_await weft::finally(pass(counted(3)), goodbye, 1s);
  co_return c.number == 1 && d.number == 3;
}

weft::task<bool> bounded_group() {
  std::atomic<int> sum = 0;
  std::vector<std::string> keys{"one", "three", "a key long enough for the heap"};
  auto refresh = [&sum](std::string key, counted c) -> weft::task<> {
    co_await weft::yield();
    sum += static_cast<int>(key.size()) * c.number;
  };
  co_await weft::with_task_group({.max_concurrency = 2}, [&](auto& g) -> weft::task<> {
    for (auto& k : keys) g.spawn(refresh, k, counted(1));
    co_return;
  });
  int port = 0;
  auto server = [](weft::task_status<int>& status, counted c) -> weft::task<> {
    status.started(c.number);
    co_await weft::sleep_for(1h);
  };
  co_await weft::with_task_group([&](weft::task_group& g) -> weft::task<> {
    port = co_await g.start(server, counted(80));
    g.cancel();
  });
  co_return sum == 3 + 5 + 30 && port == 80;
}

weft::task<bool> waiting() {
  weft::shared_mutex shared;
  weft::mutex m;
  weft::condition_variable changed;
  weft::latch l(1);
  auto [tx, rx] = weft::oneshot<counted>();
  { auto alone = co_await shared.lock(); }
  auto reading = co_await shared.lock_shared();
  l.count_down();
  co_await l.wait();
  tx.send(counted(4));
  auto c = co_await rx.receive();
  bool set = false;
  auto setter = [&]() -> weft::task<> {
    auto lock = co_await m.lock();
    set = true;
    changed.notify_one();
  };
  auto waiter = [&]() -> weft::task<> {
    auto lock = co_await m.lock();
    co_await changed.wait(lock, [&] { return set; });
  };
  co_await weft::when_all(waiter(), setter());
  co_return c->number == 4 && set;
}

weft::task<bool> lines() {
  const std::string path = "/tmp/weft-limits-" + std::to_string(::getpid());
  std::ofstream(path) << "one\ntwo\nthree\n";
  int seen = 0;
  auto f = co_await weft::file::open(path);
  auto ls = f.lines();
  while (auto l = co_await ls.next()) seen += static_cast<int>(l->size());
  auto count = [&](const std::string&) { ++seen; };
  co_await weft::for_each(f.lines(), count);
  co_await f.close();
  ::unlink(path.c_str());
  co_return seen == 11 + 3;
}

weft::task<bool> signals() {
  auto raise = []() -> weft::task<> {
    co_await weft::sleep_for(1ms);
    std::raise(SIGUSR1);
    co_await weft::sleep_for(1h);
  };
  auto w = co_await weft::when_any(raise(), weft::signal_set(SIGUSR1, SIGUSR2).wait());
  co_return w.index() == 1 && std::get<1>(w) == SIGUSR1;
}

weft::task<> raise_and_wait(counted c) {
  std::raise(SIGUSR1);
  co_await weft::sleep_for(1h);
  (void)c;
}

bool stopped_by_a_signal() {
  try {
    weft::run({.stop_on = {SIGUSR1, SIGUSR2}, .grace = 60s}, raise_and_wait(counted(1)));
  } catch (const std::system_error& e) {
    return e.code() == std::errc::operation_canceled;
  }
  return false;
}

struct spelling {
  const char* name;
  weft::task<bool> (*run)();
};

constexpr spelling spellings[] = {
    {"limits", limits},     {"first_of_several", first_of_several},
    {"clean_up", clean_up}, {"bounded_group", bounded_group},
    {"waiting", waiting},   {"lines", lines},
    {"signals", signals},
};

}  // namespace

int main() {
  int wrong = 0;
  for (const spelling& s : spellings) {
    for (const unsigned workers : {1u, 2u}) {
      if (weft::run({.workers = workers}, s.run()) && counted::alive() == 0) continue;
      std::printf("%s is wrong with %u workers, %d values left\n", s.name, workers,
                  counted::alive());
      ++wrong;
    }
  }
  if (!stopped_by_a_signal() || counted::alive() != 0) {
    std::puts("stopped_by_a_signal is wrong");
    ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}

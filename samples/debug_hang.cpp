// SPDX-License-Identifier: MIT
// A program that hangs, and what weft says of it.
//
// Who awaits whom, at which line, and who holds what is waited for.
//
//     debug_hang [--live] [--workers N]
//
// Two clerks post a transfer between two accounts, each locking its own account first: the classic
// deadlock. Nothing is left that could wake them, so run throws weft::deadlock with the tree. With
// --live a timer is set, as in a server one always is: then run cannot know, and the same tree is
// asked for with dump_tasks(). (So it is by Ctrl-\: .dump_on = {SIGQUIT}.)

#include <weft/weft.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>

using namespace std::chrono_literals;

struct account {
  weft::mutex guard;
  int balance = 100;
};

weft::task<> transfer(account& from, account& to, int amount) {
  const weft::mutex_lock mine = co_await from.guard.lock();
  co_await weft::sleep_for(1ms);                             // looking something up
  const weft::mutex_lock theirs = co_await to.guard.lock();  // the other clerk holds it
  from.balance -= amount;
  to.balance += amount;
}

weft::task<> office() {
  account alice;
  account bob;
  co_await weft::when_all(transfer(alice, bob, 10), transfer(bob, alice, 20));
}

/// The office of a program that never falls silent, looked at after a while and then given up.
weft::task<> live_office() {
  auto look = []() -> weft::task<> {
    co_await weft::sleep_for(50ms);
    std::printf("after 50 ms the tasks are:\n%s", weft::dump_tasks().c_str());
  };
  (void)co_await weft::when_any(office(), look());
  std::puts("given up: when_any has cancelled the office");
}

int main(int argc, char** argv) {
  CLI::App app{"Shows what weft says of a program that hangs."};
  bool live = false;
  weft::run_options options{.dump_on = {SIGQUIT}, .stall_after = 100ms};
  app.add_flag("--live", live, "keep the program alive, and look at its tasks");
  app.add_option("--workers", options.workers, "1: an event loop, more: a pool, 0: all cores")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    weft::run(options, live ? live_office() : office());
  } catch (const weft::deadlock& e) {
    std::printf("run threw:\n%s\n", e.what());
  }
}

// SPDX-License-Identifier: MIT
// Says on what a loop and then a pool of two run: one line each, "io_uring" or "epoll". What run
// throws goes to standard error, and the exit code is 1. Code 3: it left a descriptor or a thread.
//
//     kernel_taken

#include "support/kernel_descriptors.hpp"
#include "weft/io/blocking.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/sched/run.hpp"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

#include <unistd.h>

using namespace weft;
using namespace std::chrono_literals;

namespace {

task<std::string> kernel_taken() {
  co_await sleep_for(1ms);
  auto name = [] { return tests::kernel_by_descriptors(); };
  std::string taken = co_await blocking(name);
  co_return taken;
}

std::ptrdiff_t entries(const char* directory) {
  const std::filesystem::directory_iterator all(directory);
  return std::distance(begin(all), end(all));
}

/// ThreadSanitizer starts a thread of its own beside the first one.
void start_and_end_a_thread() {
  pid_t id = 0;
  std::thread([&id] { id = ::gettid(); }).join();
  while (std::filesystem::exists("/proc/self/task/" + std::to_string(id)))
    std::this_thread::yield();  // joined, it may be seen for a moment yet
}

bool threads_become(std::ptrdiff_t expected) {
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (entries("/proc/self/task") != expected) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

int main() {
  start_and_end_a_thread();
  const auto descriptors = entries("/proc/self/fd");
  const auto threads = entries("/proc/self/task");
  int code = 0;
  for (const unsigned workers : {1u, 2u}) {
    try {
      std::puts(run({.workers = workers}, kernel_taken()).c_str());
    } catch (const std::system_error& e) {
      std::fprintf(stderr, "%s [%d]\n", e.what(), e.code().value());
      code = 1;
    }
  }
  const bool left = entries("/proc/self/fd") != descriptors || !threads_become(threads);
  return left ? 3 : code;
}

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

}  // namespace

int main() {
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
  const bool left =
      entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads;
  return left ? 3 : code;
}

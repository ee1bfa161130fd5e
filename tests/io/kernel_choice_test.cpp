// SPDX-License-Identifier: MIT
// Whichever kernel the environment asks for, run_options::kernel wins. What a refusal decides is
// seen from outside the process: tests/refused/.
#include "support/both_schedulers.hpp"
#include "support/dying_words.hpp"
#include "support/io_uring_refusal.hpp"
#include "support/kernel_descriptors.hpp"
#include "weft/io/kernel/kernel.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/when_all.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <tuple>
#include <utility>

#include <unistd.h>

namespace kernel_choice_test {

using namespace weft;
using tests::kernel_by_descriptors;
using tests::on_both;

namespace {

/// The kernel by its descriptors, after a message through it.
task<std::string> kernel_taken() {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  auto both = co_await when_all(tcp_stream::connect(listener.local_endpoint()), listener.accept());
  tcp_stream client = std::get<0>(std::move(both));
  tcp_stream server = std::get<1>(std::move(both));
  co_await client.write_all("hello");
  std::string text(5, ' ');
  co_await server.read_exact(text);
  co_return text + " by " + kernel_by_descriptors();
}

task<kernel*> kernel_of_a_task() { co_return &current_kernel(); }

}  // namespace

TEST_SUITE("io/kernel_choice") {
  TEST_CASE("a run that asks for io_uring is on io_uring" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    on_both([](run_options options) {
      options.kernel = &uring_kernel();
      CHECK(run(options, kernel_taken()) == "hello by io_uring");
      CHECK(run(options, kernel_of_a_task()) == &uring_kernel());
    });
  }

  TEST_CASE("a run that asks for epoll is on epoll, also where io_uring could be had") {
    on_both([](run_options options) {
      options.kernel = &epoll_kernel();
      CHECK(run(options, kernel_taken()) == "hello by epoll");
      CHECK(run(options, kernel_of_a_task()) == &epoll_kernel());
    });
  }

  TEST_CASE("a run that asks for nothing is on what the environment names") {
    const char* const named = std::getenv("WEFT_KERNEL");
    std::string kernel = tests::io_uring_refusal() == 0 ? "io_uring" : "epoll";
    if (named != nullptr && std::string(named) == "epoll") kernel = "epoll";
    on_both([&](const run_options& options) {
      CHECK(run(options, kernel_taken()) == "hello by " + kernel);
      CHECK(run(options, kernel_of_a_task()) == &system_kernel());
    });
  }

  TEST_CASE("where the environment names nothing io_uring is taken, unless it is refused") {
    const auto end = tests::in_child([] {
      ::unsetenv("WEFT_KERNEL");  // which this process may have asked for already
      ::dup2(STDERR_FILENO, STDOUT_FILENO);
      ::execl("/proc/self/exe", "io_tests", "--no-colors",
              "--test-case=a run that asks for nothing is on what the environment names", nullptr);
      return 2;
    });
    INFO(end.said);
    CHECK(end.exited_with(0));
    CHECK(end.said.find("1 passed") != std::string::npos);
  }

  TEST_CASE("a loop on epoll and one on io_uring, used in turn, keep each to its own" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    const tests::nothing_left_behind guard;
    event_loop one({.kernel = &uring_kernel()});
    event_loop other({.kernel = &epoll_kernel()});
    for (int round = 0; round < 2; ++round) {
      CHECK(one.run(kernel_taken()) == "hello by io_uring");
      CHECK(other.run(kernel_taken()) == "hello by epoll");
    }
  }
}

}  // namespace kernel_choice_test

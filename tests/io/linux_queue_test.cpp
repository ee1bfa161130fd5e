// SPDX-License-Identifier: MIT
#include "weft/io/kernel/linux_queue.hpp"

#include "support/both_schedulers.hpp"
#include "support/forwarding_kernel.hpp"
#include "support/ring_operations.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/when_all.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

using namespace weft;
using namespace std::chrono_literals;
using tests::nothing_left_behind;
using tests::on_both;

namespace {

// What a call that stands for io_uring_setup was asked, and what it is to do: plain functions have
// no other way to know.
std::mutex lock;
std::vector<unsigned> flags_tried;
int refusal = 0;

void note(const io_uring_params& parameters) {
  const std::lock_guard guard(lock);
  flags_tried.push_back(parameters.flags);
}

int refuse_always(unsigned, io_uring*, io_uring_params* parameters) {
  note(*parameters);
  return -refusal;
}

int refuse_deferred_work(unsigned entries, io_uring* ring, io_uring_params* parameters) {
  note(*parameters);
  if ((parameters->flags & IORING_SETUP_DEFER_TASKRUN) != 0) return -EINVAL;
  return io_uring_queue_init_params(entries, ring, parameters);
}

int lack_features(unsigned entries, io_uring* ring, io_uring_params* parameters) {
  note(*parameters);
  const int res = io_uring_queue_init_params(entries, ring, parameters);
  ring->features &= ~static_cast<unsigned>(IORING_FEAT_EXT_ARG);
  return res;
}

/// The real kernel, but rings are set up by a call of the test's.
class other_kernel final : public tests::forwarding_kernel {
public:
  explicit other_kernel(detail::setup_call call) : call_(call) { flags_tried.clear(); }
  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return detail::open_linux_queue(*this, options, call_);
  }

private:
  detail::setup_call call_;
};

struct start_error {
  int code = 0;
  std::string what{};
};

start_error error_of_start(detail::setup_call call, int error) {
  const nothing_left_behind guard;
  other_kernel k(call);
  refusal = error;
  try {
    const auto queue = k.open_queue({});
  } catch (const std::system_error& e) {
    return {e.code().value(), e.what()};
  }
  return {};
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

task<std::string> send_and_receive() {
  tcp_listener listener = tcp_listener::bind("127.0.0.1:0");
  auto both = co_await when_all(tcp_stream::connect(listener.local_endpoint()), listener.accept());
  tcp_stream client = std::get<0>(std::move(both));
  tcp_stream server = std::get<1>(std::move(both));
  co_await client.write_all("through an older ring");
  co_await client.shutdown();
  co_await sleep_for(1ms);
  std::string text(21, ' ');
  co_await server.read_exact(text);
  co_return text;
}

}  // namespace

TEST_SUITE("io/linux_queue") {
  TEST_CASE("a kernel that refuses the newest flags is asked for the older ones, and serves") {
    on_both([](run_options options) {
      other_kernel k(&refuse_deferred_work);
      options.kernel = &k;
      CHECK(run(options, send_and_receive()) == "through an older ring");
      REQUIRE(flags_tried.size() == 2 * options.workers);
      unsigned deferred = 0;
      for (const unsigned flags : flags_tried) {
        if ((flags & IORING_SETUP_DEFER_TASKRUN) != 0)
          ++deferred;
        else
          CHECK((flags & IORING_SETUP_COOP_TASKRUN) != 0);
      }
      CHECK(deferred == options.workers);
    });
  }

  TEST_CASE("a kernel that refuses all flags is said to be too old") {
    const start_error e = error_of_start(&refuse_always, EINVAL);
    CHECK(flags_tried.size() == 2);
    CHECK(e.code == EINVAL);
    CHECK(contains(e.what, "io_uring_setup"));
    CHECK(contains(e.what, "Linux 5.19 is needed"));
  }

  TEST_CASE("a ring that lacks what weft needs is closed, and the kernel said to be too old") {
    const start_error e = error_of_start(&lack_features, 0);
    CHECK(e.code == EINVAL);
    CHECK(contains(e.what, "Linux 5.19 is needed"));
  }

  TEST_CASE("any other refusal is final, and its message names the likely cause") {
    struct known {
      int error;
      const char* cause;
    };
    for (const known k :
         {known{ENOSYS, "this kernel has no io_uring"}, known{EPERM, "kernel.io_uring_disabled"},
          known{EACCES, "kernel.io_uring_disabled"}, known{ENOMEM, "RLIMIT_MEMLOCK"},
          known{EMFILE, "RLIMIT_NOFILE"}, known{ENFILE, "RLIMIT_NOFILE"},
          known{EIO, "refused a ring"}}) {
      CAPTURE(k.error);
      const start_error e = error_of_start(&refuse_always, k.error);
      CHECK(flags_tried.size() == 1);
      CHECK(e.code == k.error);
      CHECK(contains(e.what, "io_uring_setup"));
      CHECK(contains(e.what, k.cause));
    }
  }
}

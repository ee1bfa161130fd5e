// SPDX-License-Identifier: MIT
// Random programs of operations leave the same history on both kernels. What makes a program, and
// what is compared, is told in support/kernel_world.hpp. A difference is printed with its seed and
// with the shortest program that still shows it.

#include "support/forwarding_kernel.hpp"
#include "support/io_uring_refusal.hpp"
#include "support/kernel_world.hpp"
#include "support/long_tests.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace kernel_differential_test {

using namespace weft;
using namespace weft::tests;

namespace {

// It is known then that something differs: what never comes is not waited for as long.
constexpr std::int64_t shrinking_patience_ns = 50'000'000;
// Of a kernel that lies much never comes.
constexpr std::int64_t liar_patience_ns = 3'000'000'000;

struct both_histories {
  history first{};
  history second{};
  std::string difference() const { return weft::tests::difference(first, second); }
};

both_histories run_on(kernel& one, kernel& other, const program& p,
                      std::int64_t patience_ns = kernel_world::patience_ns) {
  both_histories both;
  both.first = kernel_world(one).run(p);
  both.second = kernel_world(other, &both.first, patience_ns).run(p);
  return both;
}

/// What there is to say of a seed; empty when both kernels agree. What is printed is what was seen:
/// a difference that does not come again is printed in full.
std::string report_of(kernel& one, kernel& other, std::uint64_t seed) {
  program least = random_program(seed);
  both_histories seen = run_on(one, other, least);
  if (seen.difference().empty()) return {};
  least = shrunk(std::move(least), [&](const program& p) {
    both_histories both = run_on(one, other, p, shrinking_patience_ns);
    const bool differs = !both.difference().empty();
    if (differs) seen = std::move(both);
    return differs;
  });
  return "seed " + std::to_string(seed) + ": " + seen.difference() + "\nthe first kernel:\n" +
         seen.first.text(least) + "the second kernel:\n" + seen.second.text(least);
}

/// io_uring, but one kind of result is altered before it is read.
class lying_kernel final : public forwarding_kernel {
public:
  using lie = bool (*)(io_uring_cqe&);
  explicit lying_kernel(lie alter) : alter_(alter) {}

  std::unique_ptr<kernel_queue> open_queue(const queue_options& options) override {
    return std::make_unique<queue>(alter_, uring_kernel().open_queue(options));
  }

private:
  class queue final : public kernel_queue {
  public:
    queue(lie alter, std::unique_ptr<kernel_queue> real) : alter_(alter), real_(std::move(real)) {}

    io_uring& memory() noexcept override { return real_->memory(); }
    int enter(unsigned submissions, bool wait, std::int64_t deadline_ns) noexcept override {
      const int taken = real_->enter(submissions, wait, deadline_ns);
      unsigned head = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&real_->memory(), head, cqe) alter_(*cqe);
      return taken;
    }
    void ring_doorbell() noexcept override { real_->ring_doorbell(); }
    int doorbell_fd() const noexcept override { return real_->doorbell_fd(); }

  private:
    lie alter_;
    std::unique_ptr<kernel_queue> real_;
  };

  lie alter_;
};

/// How many of some seeds show that a kernel lies.
int caught(lying_kernel::lie alter, int seeds) {
  lying_kernel liar(alter);
  int count = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    const program p = random_program(static_cast<std::uint64_t>(seed));
    if (!run_on(uring_kernel(), liar, p, liar_patience_ns).difference().empty()) ++count;
  }
  return count;
}

}  // namespace

TEST_SUITE("io/kernel_differential") {
  TEST_CASE("random programs leave the same history on io_uring and on epoll" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    const int seeds = repetitions(300, 1'000);
    int told = 0;
    for (int seed = 1; seed <= seeds && told < 3; ++seed) {
      const std::string report =
          report_of(uring_kernel(), epoll_kernel(), static_cast<std::uint64_t>(seed));
      CHECK_MESSAGE(report.empty(), report);
      if (!report.empty()) ++told;
    }
  }

  TEST_CASE("a kernel whose results are wrong is seen through" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    CHECK(caught(
              [](io_uring_cqe& cqe) {
                if (cqe.res != 5) return false;
                cqe.res = 4;  // a byte too few
                return true;
              },
              40) > 0);
    CHECK(caught(
              [](io_uring_cqe& cqe) {
                if (cqe.res != -ENOENT) return false;
                cqe.res = -EALREADY;
                return true;
              },
              40) > 10);
    CHECK(caught(
              [](io_uring_cqe& cqe) {
                if (cqe.res != -ENOBUFS) return false;
                cqe.res = 0;
                return true;
              },
              40) > 5);
  }

  TEST_CASE("a difference is shrunk to the steps that show it" *
            doctest::skip(tests::io_uring_refusal() != 0)) {
    lying_kernel liar([](io_uring_cqe& cqe) {
      if (cqe.res != -ECANCELED) return false;
      cqe.res = -EINTR;
      return true;
    });
    const program whole = random_program(4);
    const auto fails = [&](const program& p) {
      return !run_on(uring_kernel(), liar, p, liar_patience_ns).difference().empty();
    };
    REQUIRE(fails(whole));
    const program least = shrunk(whole, fails);
    CHECK(least.size() <= 2);
    CHECK(fails(least));
  }
}

}  // namespace kernel_differential_test

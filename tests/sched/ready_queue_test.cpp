// SPDX-License-Identifier: MIT
#include "weft/runtime/ready_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <memory>

namespace ready_queue_test {

using weft::detail::ready_queue;
using weft::detail::suspended;

namespace {

struct robbery {
  void push(int count) {
    for (int i = 0; i != count; ++i) victim->push(tasks[pushed++]);
  }
  /// What the thief gets when the owner takes so many during the pause.
  suspended* steal_while_owner_takes(int count) {
    const auto pause = [&] {
      ++pauses;
      for (int i = 0; i != count; ++i) CHECK(victim->take() == &tasks[taken++]);
    };
    return thief->steal_what_stays(*victim, pause, gone);
  }

  std::array<suspended, 400> tasks;
  std::unique_ptr<ready_queue> victim = std::make_unique<ready_queue>();
  std::unique_ptr<ready_queue> thief = std::make_unique<ready_queue>();
  std::size_t pushed = 0;
  std::size_t taken = 0;
  int pauses = 0;
  int gone = 0;
};

}  // namespace

TEST_SUITE("sched/ready_queue") {
  TEST_CASE("a thief can leave woken tasks that go soon") {
    robbery r;
    SUBCASE("there is none, and no pause") {
      CHECK(r.steal_while_owner_takes(0) == nullptr);
      CHECK(r.pauses == 0);
      CHECK(r.gone == 0);
    }
    SUBCASE("one that stays is taken, one that goes is left") {
      r.push(1);
      CHECK(r.steal_while_owner_takes(0) == &r.tasks[0]);
      CHECK(r.gone == 0);
      r.push(1);
      r.taken = 1;
      CHECK(r.steal_while_owner_takes(1) == nullptr);
      CHECK(r.gone == 1);
    }
    SUBCASE("of several, half stay: the older half of what is left is taken") {
      r.push(6);
      CHECK(r.steal_while_owner_takes(2) == &r.tasks[2]);
      CHECK(r.thief->take() == &r.tasks[3]);
      CHECK(r.thief->take() == nullptr);
      CHECK(r.gone == 0);
    }
    SUBCASE("as many go as would have been taken") {
      r.push(6);
      CHECK(r.steal_while_owner_takes(3) == nullptr);
      CHECK(r.gone == 1);
      CHECK_FALSE(r.victim->empty());
    }
    SUBCASE("what another thief takes says nothing of the owner") {
      r.push(6);
      ready_queue other;
      const auto theft = [&] { CHECK(other.steal_from(*r.victim) == &r.tasks[0]); };
      CHECK(r.thief->steal_what_stays(*r.victim, theft, r.gone) == &r.tasks[3]);
      CHECK(r.gone == 0);
    }
    SUBCASE("what did not fit into the ring is taken without a pause") {
      r.push(300);
      for (int i = 0; i != 256; ++i) CHECK(r.victim->take() == &r.tasks[r.taken++]);
      CHECK(r.steal_while_owner_takes(0) == &r.tasks[256]);
      CHECK(r.pauses == 0);
    }
    SUBCASE("of many, what a thief takes at once is the measure") {
      r.push(400);
      CHECK(r.steal_while_owner_takes(static_cast<int>(ready_queue::steal_max) - 1) ==
            &r.tasks[ready_queue::steal_max - 1]);
      CHECK(r.gone == 0);
    }
  }
}

}  // namespace ready_queue_test

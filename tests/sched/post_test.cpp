// SPDX-License-Identifier: MIT
#include "weft/sched/post.hpp"

#include "support/dying_words.hpp"
#include "weft/runtime/event.hpp"
#include "weft/sched/run.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

namespace post_test {

using namespace weft;

namespace {

/// Runs what was posted on a scheduler of that many workers, and says what the program died of.
template <class Throw>
std::string last_words(unsigned workers, Throw posted) {
  return tests::dying_words([&] {
    event never;
    auto wait = [](event& e) -> task<> { co_await e.wait(); };
    if (workers == 1) {
      event_loop loop;
      loop.post(posted);
      loop.run(wait(never));
    } else {
      thread_pool pool({.workers = workers});
      pool.post(posted);
      pool.run(wait(never));
    }
  });
}

bool says(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("sched/post") {
  TEST_CASE("an exception that escapes a posted function ends the program with its text") {
    for (const unsigned workers : {1u, 2u}) {
      CAPTURE(workers);
      const std::string said =
          last_words(workers, [] { throw std::runtime_error("the disk is on fire"); });
      CHECK(says(said, "weft: "));
      CHECK(says(said, "escaped a function that was given to post()"));
      CHECK(says(said, "the disk is on fire"));
      CHECK(says(said, "catch it inside"));
      CHECK(says(said, "post_test.cpp:"));
      CHECK(says(said, "last_words"));
    }
  }

  TEST_CASE("an exception of any type that escapes a posted function ends the program") {
    const std::string said = last_words(1, [] { throw 42; });
    CHECK(says(said, "escaped a function that was given to post()"));
    CHECK(says(said, "not a std::exception"));
    CHECK(says(last_words(2, [] { throw cancelled(); }), "not a std::exception"));
  }

  TEST_CASE("a text too long for the message is cut off") {
    const std::string said =
        last_words(1, [] { throw std::runtime_error(std::string(5000, 'x')); });
    CHECK(says(said, "xxx"));
    CHECK(said.size() < 2000);
  }
}

}  // namespace post_test

// SPDX-License-Identifier: MIT

// The frames that other threads give back to a page, under every interleaving (within the bounds of
// the explorer): the owner gets each once, with its memory; a page whose owner ends before its
// frames is freed once, by whoever comes last, after all uses of it. Each order that is weakened
// and each rule that is dropped is noticed.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "weft/runtime/detail/frame_page.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frame_returns_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;

struct frame : detail::returned_frame {
  frame() : detail::returned_frame{nullptr, 0} {}
  plain<int> memory;
};

struct page {
  static constexpr std::size_t frames_max = 3;

  page() : returns(std::in_place) {
    for (std::size_t i = 0; i != frames_max; ++i)
      frames[i].granules = static_cast<std::uint32_t>(i + 1);
  }

  /// A thread that is not the owner ends a frame.
  void end(std::size_t i) {
    frames[i].memory.write(1);
    if (returns->give(frames[i])) free();
  }
  /// Who has found that nothing is left in the page.
  void free() {
    freed.write(freed.read() + 1);
    for (frame& f : frames) f.memory.write(0);
    returns.reset();
  }
  /// The owner takes what is there; says how many granules.
  std::uint32_t take() {
    std::uint32_t granules = 0;
    for (detail::returned_frame* f = returns->take(); f != nullptr; f = f->next) {
      auto& taken = static_cast<frame&>(*f);
      check(taken.memory.read() == 1, "a frame is taken after its end, and once");
      taken.memory.write(2);
      granules += taken.granules;
    }
    return granules;
  }

  std::optional<detail::frame_returns<weft::explore::atomics>> returns;
  std::array<frame, frames_max> frames;
  plain<int> freed;
};

struct rules {
  bool takes_again = true;  // who cannot let go takes what was given meanwhile
  bool counts = true;       // who lets go counts what it has taken
};

// The owner looks now and then, and uses the memory of what it finds.
void give_and_take(scenario& s, rules) {
  const auto p = std::make_shared<page>();
  const auto got = std::make_shared<std::uint32_t>(0);
  s.thread([p, got] {
    for (int looks = 0; looks != 2; ++looks) *got += p->take();
  });
  s.thread([p] {
    p->end(0);
    p->end(1);
  });
  s.thread([p] { p->end(2); });
  s.at_end([p, got] { check(*got + p->take() == 1 + 2 + 3, "no frame is lost"); });
}

// The owner ends with `others` frames in use elsewhere.
void owner_ends(scenario& s, rules r, std::size_t others) {
  const auto p = std::make_shared<page>();
  s.thread([p, r, others] {
    std::uint32_t live = others == 1 ? 1 : 1 + 2;
    p->frames[2].memory.write(1);  // the owner's own
    for (;;) {
      const std::uint32_t taken = p->take();
      if (r.counts) live -= taken;
      if (live == 0) {
        p->free();
        break;
      }
      if (p->returns->orphan(live) || !r.takes_again) break;
    }
  });
  for (std::size_t i = 0; i != others; ++i) s.thread([p, i] { p->end(i); });
  s.at_end([p] { check(p->freed.read() == 1, "a page is freed once"); });
}
void ends_before_one(scenario& s, rules r) { owner_ends(s, r, 1); }
void ends_before_two(scenario& s, rules r) { owner_ends(s, r, 2); }

struct named {
  const char* name;
  void (*build)(scenario&, rules);
};
constexpr named scenarios[] = {
    {"frame returns/give and take", give_and_take},
    {"frame returns/owner ends before one", ends_before_one},
    {"frame returns/owner ends before two", ends_before_two},
};

std::vector<exploration> explorations() {
  std::vector<exploration> all;
  for (const named& n : scenarios)
    all.push_back({{.name = n.name, .preemptions = 3, .stale_reads = 1, .random_executions = 3'000},
                   [&n](scenario& s) { n.build(s, {}); }});
  return all;
}

TEST_SUITE("sched/frame_returns explored") {
  TEST_CASE("each frame comes back once, and a page without an owner is freed once") {
    for (const exploration& e : explorations()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule that is dropped is noticed" * doctest::skip(sanitized())) {
    const std::pair<const char*, rules> mutants[] = {
        {"the owner ends although it could not let go", {.takes_again = false}},
        {"the owner forgets what it has taken", {.counts = false}},
    };
    for (const auto& [what, broken] : mutants) {
      bool noticed = false;
      for (const named& n : scenarios) {
        const rules b = broken;
        const options how{.name = n.name, .preemptions = 3, .stale_reads = 1};
        noticed = noticed || run(how, [&](scenario& s) { n.build(s, b); }).failed;
      }
      CHECK_MESSAGE(noticed, std::string(what));
    }
  }

  TEST_CASE("each memory order that is weakened is noticed" * doctest::skip(sanitized())) {
    const std::vector<exploration> all = explorations();
    const verdict v = weaken_each(all, {"/frame_page.hpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 5);
  }
}

}  // namespace

}  // namespace frame_returns_explore_test

// SPDX-License-Identifier: MIT
#pragma once
// Random programs of operations, to be run on two kernels and compared (kernel_world.hpp runs
// them). A step names its operands by numbers that every world understands, and the steps that it
// refers to by their numbers, so that a program without some of its steps is a program too.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace weft::tests {

// One entry a kind of step: its name, how often it is chosen, and whether it may share a batch with
// the next: what a helper thread may run may not, for then the order of the two is nobody's.
#define WEFT_PROGRAM_STEPS(STEP)  \
  STEP(receive, 8, true)          \
  STEP(receive_whole, 3, true)    \
  STEP(receive_chosen, 4, true)   \
  STEP(receive_on, 4, true)       \
  STEP(send, 6, true)             \
  STEP(send_much, 2, true)        \
  STEP(peer_writes, 14, false)    \
  STEP(peer_ends, 2, false)       \
  STEP(peer_closes, 2, false)     \
  STEP(peer_drains, 4, false)     \
  STEP(shutdown, 1, false)        \
  STEP(close, 3, false)           \
  STEP(pipe_read, 4, true)        \
  STEP(pipe_write, 3, true)       \
  STEP(pipe_put, 3, false)        \
  STEP(pipe_ends, 1, false)       \
  STEP(counter_read, 3, true)     \
  STEP(counter_write, 3, false)   \
  STEP(poll, 5, false)            \
  STEP(poll_on, 3, false)         \
  STEP(accept, 3, true)           \
  STEP(accept_on, 1, true)        \
  STEP(client_connects, 4, false) \
  STEP(connect, 2, false)         \
  STEP(connect_nowhere, 1, false) \
  STEP(timeout_short, 1, false)   \
  STEP(timeout_long, 2, true)     \
  STEP(timeout_remove, 2, true)   \
  STEP(cancel, 10, true)          \
  STEP(provide, 4, true)          \
  STEP(take_back, 1, true)        \
  STEP(file_write, 3, false)      \
  STEP(file_read, 3, false)       \
  STEP(file_append, 1, false)     \
  STEP(open, 3, false)            \
  STEP(stat, 2, false)            \
  STEP(unlink, 2, false)          \
  STEP(rename, 2, false)          \
  STEP(mkdir, 1, false)           \
  STEP(sync, 1, false)

enum class step_kind : unsigned char {
#define WEFT_STEP_NAME(name, weight, batched) name,
  WEFT_PROGRAM_STEPS(WEFT_STEP_NAME)
#undef WEFT_STEP_NAME
};

struct step_facts {
  std::string_view name;
  int weight;
  bool batched;
};

inline constexpr std::array all_steps{
#define WEFT_STEP_FACTS(name, weight, batched) step_facts{#name, weight, batched},
    WEFT_PROGRAM_STEPS(WEFT_STEP_FACTS)
#undef WEFT_STEP_FACTS
};
#undef WEFT_PROGRAM_STEPS

struct program_step {
  int number = 0;  // its own, which stays when others are dropped
  step_kind kind{};
  unsigned slot = 0;    // which of the world's things
  unsigned value = 0;   // a size, an offset, a name
  int target = 0;       // the number of an earlier step
  bool joined = false;  // handed over together with the next step

  const step_facts& facts() const { return all_steps[static_cast<std::size_t>(kind)]; }
  std::string text() const {
    return std::to_string(number) + ": " + std::string(facts().name) + " slot " +
           std::to_string(slot) + " value " + std::to_string(value) + " target " +
           std::to_string(target) + (joined ? ", and with it" : "");
  }
};

using program = std::vector<program_step>;

inline program random_program(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&random](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  std::vector<int> weights;
  for (const step_facts& facts : all_steps) weights.push_back(facts.weight);
  std::discrete_distribution<unsigned> kinds(weights.begin(), weights.end());
  program made(10 + below(51));
  for (std::size_t i = 0; i < made.size(); ++i) {
    program_step& step = made[i];
    step.number = static_cast<int>(i);
    step.kind = static_cast<step_kind>(kinds(random));
    step.slot = below(3);
    step.value = below(48);
    // Often one of the last few: those that still wait.
    const unsigned back = below(2) == 0 ? below(6) : below(60);
    step.target = static_cast<int>(i) - 1 - static_cast<int>(back);
    step.joined = step.facts().batched && below(3) == 0;
  }
  return made;
}

/// What is left of a program when steps are dropped as long as it still fails.
inline program shrunk(program failing, const std::function<bool(const program&)>& fails) {
  for (std::size_t piece = failing.size() / 2; piece != 0; piece /= 2) {
    for (std::size_t from = 0; from < failing.size();) {
      program less = failing;
      const auto first = less.begin() + static_cast<std::ptrdiff_t>(from);
      less.erase(first, first + static_cast<std::ptrdiff_t>(std::min(piece, less.size() - from)));
      if (fails(less))
        failing = less;
      else
        from += piece;
    }
  }
  return failing;
}

}  // namespace weft::tests

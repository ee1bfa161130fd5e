// SPDX-License-Identifier: MIT
#pragma once
// Who awaits whom, as it was found at one moment: for the deadlock report and dump_tasks. It starts
// at a scope and follows what is inside, strand by strand, and from each strand that waits, frame
// by frame, to whoever waits for it.
//
// Thread: on an event loop its own thread; of a pool any. A strand that waits does so under its
// lock, which complete() and visit() take before it is resumed: with the lock held its frames, and
// those of all who wait for it, stay as they are. Frames of a strand that does not wait are not
// looked at. Locks are taken from the outside inwards: scope, strand, the scopes that it has
// opened, and last the lock of what is waited for.

#include "weft/runtime/scope.hpp"
#include "weft/runtime/wait_note.hpp"

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <unordered_map>
#include <vector>

namespace weft::detail {

class promise_base;

class task_tree {
public:
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);
  /// So that a look at a million tasks stays a moment. What was left out is counted.
  static constexpr std::size_t entries_max = 10'000;

  enum class state : unsigned char {
    awaits,   // another frame, or several
    waits,    // for an operation
    goes_on,  // it runs, or is ready to
  };

  /// A coroutine's frame; frames of weft's own headers are left out.
  struct entry {
    std::size_t parent = nobody;  // who awaits it
    std::source_location line{};  // where it stands; line 0 for what has no frame of the user's
    state is = state::awaits;
    const char* waits_for = nullptr;  // an operation's name
    wait_note note{};
    int worker = -1;            // whose ring or timers the operation is in; -1: nobody's
    std::int64_t since_ns = 0;  // when its strand first had to wait
    std::int64_t deadline_ns = no_deadline;
  };

  /// Adds what lives in `root`, which the caller holds. Errors: bad_alloc.
  void add(cancel_scope& root);
  /// Adds the strands that go on and show up nowhere else. After the last add().
  void finish();

  const std::vector<entry>& entries() const noexcept { return entries_; }
  std::size_t left_out() const noexcept { return left_out_; }

private:
  struct going_on {
    const strand* line;
    std::size_t parent;
    entry found;
  };

  void look_at(cancel_scope& s, unsigned depth);
  void look_at(strand& s, unsigned depth);
  void add_going_on(const strand& s, entry found);
  std::size_t place(promise_base& p);
  std::size_t add_entry(const entry& e, const strand* line);

  std::vector<entry> entries_;
  std::vector<const strand*> lines_;  // of each entry
  std::unordered_map<const promise_base*, std::size_t> places_;
  std::vector<going_on> going_on_;
  std::size_t above_ = nobody;  // who gets what those give whom no coroutine awaits
  std::size_t left_out_ = 0;
};

}  // namespace weft::detail

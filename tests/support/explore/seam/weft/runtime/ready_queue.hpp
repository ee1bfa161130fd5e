// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/ready_queue.hpp for the explorer, where tasks are made ready
// and stolen but the queue itself is not what is explored (tests/sched/ready_queue_explore_test.cpp
// does that): each push, take and steal is one step, and a task hands over what was written before
// its push, nothing else. Nothing is kept from others, so nobody has to be told of it later.

#include "support/explore/engine.hpp"
#include "weft/runtime/suspended.hpp"

#include <cstddef>
#include <deque>

namespace weft::detail {

class ready_queue {
public:
  void push_unshared(suspended& s) noexcept { push(s); }
  suspended* take_unshared() noexcept { return take(); }

  void push(suspended& s) noexcept {
    explore::engine& e = explore::engine::active();
    if (!e.lenient()) e.step();
    e.tick();
    items_.push_back({&s, e.now()});
  }
  void collect(suspended& s) noexcept { push(s); }
  void give_way(suspended& s) noexcept { push(s); }

  suspended* take() noexcept {
    explore::engine& e = explore::engine::active();
    if (!e.lenient()) e.step();
    if (items_.empty()) return nullptr;
    const item taken = items_.front();
    items_.pop_front();
    e.now().join(taken.released);
    return taken.what;
  }
  suspended* steal_from(ready_queue& victim) noexcept { return victim.take(); }

  bool untold() const noexcept { return false; }
  bool share() const noexcept { return false; }
  /// No steps of their own: what comes of them is one.
  [[nodiscard]] bool has_any() const noexcept { return !items_.empty(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }

private:
  struct item {
    suspended* what;
    explore::clock released;
  };

  std::deque<item> items_;
};

}  // namespace weft::detail

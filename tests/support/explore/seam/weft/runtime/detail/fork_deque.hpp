// SPDX-License-Identifier: MIT
#pragma once

// What stands in the place of runtime/detail/fork_deque.hpp for the explorer, where forks are
// stolen but the deque itself is not what is explored (tests/sched/fork_deque_explore_test.cpp does
// that): each push, pop and steal is one step, and an item hands over what was written before its
// push, nothing else.

#include "support/explore/engine.hpp"

#include <cstddef>
#include <deque>

namespace weft::detail {

enum class forks_taken_by { owner, thieves };
enum class fork_push { done, unshared, no_room };

template <class T>
class fork_deque {
public:
  struct nobody_sleeps {
    void operator()() const noexcept {}
  };
  explicit fork_deque(forks_taken_by) noexcept {}

  template <class Offered = nobody_sleeps>
  [[nodiscard]] bool push(T* what, Offered = {}) noexcept {
    explore::engine& e = explore::engine::active();
    if (!e.lenient()) e.step();
    e.tick();
    items_.push_back({what, e.now()});
    return true;
  }
  [[nodiscard]] fork_push push_quietly(T* what) noexcept {
    (void)push(what);
    return items_.size() == 1 ? fork_push::unshared : fork_push::done;
  }
  [[nodiscard]] bool share_oldest() noexcept { return false; }
  [[nodiscard]] bool pop_quietly(const T* expected) noexcept { return pop(expected) != nullptr; }
  template <class Offered = nobody_sleeps>
  [[nodiscard]] T* pop(const T* expected = nullptr, Offered = {}) noexcept {
    if (expected != nullptr && (items_.empty() || items_.back().what != expected)) return nullptr;
    return take([this] { return items_.back(); }, [this] { items_.pop_back(); });
  }
  [[nodiscard]] T* steal() noexcept {
    return take([this] { return items_.front(); }, [this] { items_.pop_front(); });
  }
  /// No step of its own: what comes of it is one.
  [[nodiscard]] bool hides() const noexcept { return !items_.empty(); }

private:
  struct item {
    T* what;
    explore::clock released;
  };

  template <class Look, class Remove>
  T* take(Look look, Remove remove) noexcept {
    explore::engine& e = explore::engine::active();
    if (!e.lenient()) e.step();
    if (items_.empty()) return nullptr;
    const item taken = look();
    remove();
    e.now().join(taken.released);
    return taken.what;
  }

  std::deque<item> items_;
};

}  // namespace weft::detail

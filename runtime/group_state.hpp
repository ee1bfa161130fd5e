// SPDX-License-Identifier: MIT
#pragma once
// What task groups and runs have in common: a cancel scope with children that fail fast. The first
// failure stops the scope and is kept to be rethrown; the others go to the list that the user gave.
// `cancelled` out of a stopped scope is no failure.

#include "weft/runtime/atomics.hpp"
#include "weft/runtime/scope_join.hpp"
#include "weft/runtime/spin_lock.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

namespace weft {

namespace detail {
class group_state;
}

/// The failures of a task group beside the one that it rethrows: give its address as the group's
/// option
/// `.failures`, and read it when the group has ended.
///
/// Thread:   read it after the group has ended.
/// Lifetime: outlives the group.
class group_failures {
public:
  static constexpr std::size_t kept_max = 16;

  /// All failures after the first, also those beyond kept_max.
  std::size_t count() const noexcept { return count_; }
  /// The first of them, in the order in which they happened.
  std::span<const std::exception_ptr> exceptions() const noexcept {
    return {exceptions_.data(), count_ < kept_max ? count_ : kept_max};
  }

private:
  friend detail::group_state;

  std::array<std::exception_ptr, kept_max> exceptions_;
  std::size_t count_ = 0;
};

/// Trivially destructible, as all options are: g++ 12 destroys others twice in a co_await.
struct task_group_options {
  group_failures* failures = nullptr;  // where failures beside the first are put
  bool fail_fast = true;               // false: a failure does not cancel the others
  std::size_t max_concurrency = 0;     // children that run at a time, the others wait; 0: all
};

namespace detail {

/// Reaches a group as long as there is one.
class group_link {
public:
  explicit group_link(group_state& g) noexcept : group_(&g) {}

  /// Thread: any.
  void request_stop() noexcept;
  void forget() noexcept {
    const std::lock_guard guard(lock_);
    group_ = nullptr;
  }

private:
  spin_lock lock_;
  plain<group_state*> group_;  // guarded by lock_
};

class group_state : public joinable_scope {
public:
  group_state(scheduler& home, promise_base* opener, const task_group_options& options) noexcept
      : joinable_scope(home), opener_(opener), others_(options.failures),
        running_max_(options.max_concurrency), fail_fast_(options.fail_fast) {}
  /// One that nobody joins: `on_empty` says that it has ended.
  group_state(scheduler& home, empty_fn on_empty, promise_base* opener) noexcept
      : joinable_scope(home, on_empty), opener_(opener) {}

  /// Thread: any, while the caller holds the scope.
  void failed(const std::exception_ptr& e) noexcept;

  /// Whether a child may run at once; else it is kept until another one has ended.
  [[nodiscard]] bool try_run(suspended& child) noexcept;
  /// A child has ended: the oldest that was kept takes its place.
  void one_has_ended() noexcept;

  /// What handles know the group by, which may outlive it. Errors: bad_alloc.
  std::shared_ptr<group_link> link();
  /// After the join.
  void unlink() noexcept;

  /// The coroutine that opened it and awaits it; null for a run's main task, and in generators.
  promise_base* opener() const noexcept { return opener_; }
  /// The first failure. Thread: whoever joined it.
  const std::exception_ptr& first_failure() const noexcept { return first_; }
  /// Whether a stop kept anyone from coming to its end. Thread: whoever joined it.
  bool cut_off() const noexcept {
    return cut_off_.load(std::memory_order_relaxed);  // relaxed: S2 has handed it over
  }

private:
  promise_base* const opener_;
  group_failures* const others_ = nullptr;
  const std::size_t running_max_ = 0;
  const bool fail_fast_ = true;
  atomic<bool> cut_off_{false};
  spin_lock lock_;
  // Guarded by lock_ until the scope is empty.
  std::exception_ptr first_;
  plain<std::size_t> running_ = 0;
  plain<suspended*> oldest_pending_ = nullptr;  // linked through `next`
  plain<suspended*> newest_pending_ = nullptr;
  std::shared_ptr<group_link> link_;
};

}  // namespace detail

}  // namespace weft

// SPDX-License-Identifier: MIT
#pragma once
// A group is held by each of its children. Holds are all alike, so a worker has some of one group
// at hand: those of children that have ended here are for the next ones that are spawned here, and
// who spawns many takes some at a time. So what a worker spawns and ends writes little that workers
// share.
//
// A worker has none while it runs what may be none of that group's, but for the stretch of a body
// that has just spawned there, and none while it looks for work. So a group whose children have
// ended waits at most until such a body, which is usually one of the group's, has suspended.

#include <cstdint>

namespace weft::detail {

class group_state;

/// Thread: one worker's.
class spare_holds {
public:
  /// How many are taken, or given back, in one step.
  static constexpr std::uint32_t at_a_time = 32;

  /// One for a child that is spawned; false when the group has ended.
  [[nodiscard]] bool take(group_state& group) noexcept;
  /// That of a child that has ended. Publishes: the group may be gone afterwards.
  void give(group_state& group) noexcept;

  /// All but those of this group, before one of its children begins. Publishes.
  void keep_only(const group_state* group) noexcept {
    if (group_ != group) give_back();
  }
  /// All. Whether there were any: then the end of a group may have made something ready.
  /// Publishes.
  bool give_back() noexcept {
    if (count_ == 0) [[likely]]
      return false;
    give_back_now();
    return true;
  }

private:
  [[gnu::noinline]] void give_back_now() noexcept;

  group_state* group_ = nullptr;  // it may be gone when there are none
  std::uint32_t count_ = 0;
};

}  // namespace weft::detail

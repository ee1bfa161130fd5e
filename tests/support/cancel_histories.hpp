// SPDX-License-Identifier: MIT
#pragma once
// Cancel against completion, for one thing to wait for, in every order. The thing is a rig, a class
// with
//   void start(task_group&)    before anything else (children that the rig needs)
//   task<bool> wait()          true when it was granted, false when cancelled
//   void grant()               grants it once
//   bool left_over()           whether a grant lies there that nobody has received
// and, where it is not like a semaphore,
//   task<> prepare()           is awaited first of all, under no scope that is stopped
//   bool needs_grant()         a grant that met nobody is none: it is tried again while this holds
//   static constexpr bool once         it can be waited for a single time
//   static constexpr bool by_kernel    a grant arrives later: a stop after it may still come first
//   static constexpr bool not_stopped  a wait that has begun is not ended by a stop

#include "weft/runtime/error.hpp"
#include "weft/runtime/task_group.hpp"

#include <memory>
#include <utility>

namespace weft::tests {

enum class order { stop_before, stop_while_waiting, grant_then_stop, stop_then_grant, stop_after };

/// Awaits what gives no result by itself: false when it was cancelled.
template <class Awaitable>
task<bool> was_granted(Awaitable awaitable) {
  try {
    (void)co_await std::move(awaitable);
  } catch (const cancelled&) {
    co_return false;
  }
  co_return true;
}

/// Lets others run so often, whether or not it is stopped.
task<> yield_a_little(int times);

/// A rig as the histories see it, so that they are compiled once.
class any_rig {
public:
  virtual ~any_rig() = default;
  virtual task<> prepare() = 0;
  virtual void start(task_group& g) = 0;
  virtual task<bool> wait() = 0;
  virtual void grant() = 0;
  virtual bool left_over() = 0;
  virtual bool needs_grant() = 0;

  bool grants_again = false;
  bool once = false;
  bool by_kernel = false;
  bool not_stopped = false;
};
using make_rig = std::unique_ptr<any_rig> (*)();

/// What a rig need not have does nothing.
template <class Rig>
class rig_of final : public any_rig {
public:
  rig_of() {
    grants_again = requires(Rig& r) { r.needs_grant(); };
    if constexpr (requires { Rig::once; }) once = Rig::once;
    if constexpr (requires { Rig::by_kernel; }) by_kernel = Rig::by_kernel;
    if constexpr (requires { Rig::not_stopped; }) not_stopped = Rig::not_stopped;
  }

  task<> prepare() override {
    if constexpr (requires(Rig& r) { r.prepare(); })
      return rig_.prepare();
    else
      return []() -> task<> { co_return; }();
  }
  void start(task_group& g) override {
    if constexpr (requires(Rig& r) { r.start(g); }) rig_.start(g);
  }
  task<bool> wait() override { return rig_.wait(); }
  void grant() override {
    if constexpr (requires(Rig& r) { r.grant(); }) rig_.grant();
  }
  bool left_over() override {
    if constexpr (requires(Rig& r) { r.left_over(); })
      return rig_.left_over();
    else
      return false;
  }
  bool needs_grant() override {
    if constexpr (requires(Rig& r) { r.needs_grant(); })
      return rig_.needs_grant();
    else
      return false;
  }

  static std::unique_ptr<any_rig> make() { return std::make_unique<rig_of>(); }

private:
  Rig rig_;
};

task<> one_history(make_rig make, order o);
task<> many_races(make_rig make, int count);
task<> histories_of_what_ends(make_rig make, int races);
task<> histories_of_what_lasts(make_rig make);

/// A stop and a grant in the given order, then one more who waits.
template <class Rig>
task<> one_history(order o) {
  return one_history(&rig_of<Rig>::make, o);
}

/// A stop and a grant from two tasks at once, in which now the one and now the other is ahead.
template <class Rig>
task<> many_races(int count) {
  return many_races(&rig_of<Rig>::make, count);
}

/// Something that comes to its end by itself; its rig has only wait(). Stopped before it begins it
/// is refused; at any moment later it is resumed once; a stop after its end is too late.
template <class Rig>
task<> histories_of_what_ends(int races) {
  return histories_of_what_ends(&rig_of<Rig>::make, races);
}

/// Something that would last for ever: a stop before and a stop meanwhile end it.
template <class Rig>
task<> histories_of_what_lasts() {
  return histories_of_what_lasts(&rig_of<Rig>::make);
}

}  // namespace weft::tests

// SPDX-License-Identifier: MIT
#pragma once
// What a worker of a pool does with its life: it runs what it has, searches the others when it has
// run dry, announces its sleep, looks once more, and sleeps. This is the one place where
// idle_workers' rules for the worker are kept. thread_pool gives it seats with rings; the
// explorations in tests/ give it seats of their own, so what they explore is this code. It knows no
// task, queue or ring.

#include <concepts>
#include <utility>

namespace weft::detail {

/// A worker as work_or_park sees it. Only its own thread calls these.
template <class Seat>
concept pool_seat = requires(Seat& s) {
  // Takes in what was brought to the worker; says whether it has something to run.
  { s.look() } -> std::same_as<bool>;
  // Runs some of what look() has told of.
  s.run_ready();
  // Something came by a way that needs no wake-up, so that look() has to be asked again.
  { s.must_look_again() } -> std::same_as<bool>;
  // Something of another worker's, or nullptr; the one who searches runs it.
  { static_cast<bool>(s.steal()) } -> std::same_as<bool>;
  s.run(*s.steal());
  // It has found nothing: whether it goes on searching, after a moment.
  { s.search_again() } -> std::same_as<bool>;
  // Whether any worker could find something, this one or another.
  { s.work_anywhere() } -> std::same_as<bool>;
  // Claims a sleeper, if one has to be woken, unparks it and rings its doorbell.
  s.wake_one();
  // It will sleep, and has seen no work that it would have had to tell of.
  s.about_to_sleep();
  // Sleeps until the doorbell is rung, or a completion or a timer comes.
  s.sleep();
  // The word of parker.hpp.
  { s.parking().terminated() } -> std::same_as<bool>;
};

/// Worker: works as `me` until its parker is terminated.
template <class Idle, pool_seat Seat>
void work_or_park(Idle& idle, unsigned me, Seat& seat) noexcept {
  bool searching = false;
  const auto end_search = [&](auto more) {
    if (std::exchange(searching, false) && idle.end_search() && more()) seat.wake_one();
  };
  while (!seat.parking().terminated()) {
    if (seat.look()) {
      // Nobody was woken for what was pushed meanwhile. The message that it takes needs nobody.
      end_search([&] { return seat.work_anywhere(); });
      seat.run_ready();
      continue;
    }
    if (seat.must_look_again()) continue;
    if (!searching) searching = idle.try_begin_search();
    if (searching) {
      if (auto* const stolen = seat.steal()) {
        end_search([] { return true; });  // there is mostly more, and to look would take a fence
        seat.run(*stolen);
        continue;
      }
      // Nobody is woken meanwhile for what is pushed: the next look finds it.
      if (seat.search_again()) continue;
    }
    // Nobody searches from here on: what was pushed meanwhile would find nobody to see it. It is
    // usually this worker that wake_one() claims; then it does not begin to sleep, and searches.
    if (idle.go_to_sleep(me, searching) && seat.work_anywhere())
      seat.wake_one();
    else
      seat.about_to_sleep();
    if (seat.parking().prepare_park()) {
      seat.sleep();
      seat.parking().resume();
    }
    searching = idle.woke_up(me);
  }
}

}  // namespace weft::detail

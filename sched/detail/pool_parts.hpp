// SPDX-License-Identifier: MIT
#pragma once
// What a thread_pool is made of: its seats, each a worker with its thread and its ring, and what
// they share. thread_pool.cpp starts and ends them; pool_worker.cpp is what each of them does.

#include "weft/io/kernel/fork_guard.hpp"
#include "weft/io/ring.hpp"
#include "weft/sched/detail/core_distances.hpp"
#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/detail/patience.hpp"
#include "weft/sched/detail/shared_inbox.hpp"
#include "weft/sched/detail/stall_watch.hpp"
#include "weft/sched/detail/stretch_length.hpp"
#include "weft/sched/detail/theft_note.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/thread_pool.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace weft {

/// A worker, its thread and its ring.
struct thread_pool::seat {
  seat(thread_pool& home, unsigned index, kernel& k, std::int64_t patience_ns)
      : pool(home), worker(home, index), wait(k, patience_ns) {}

  // What work_or_park() asks of it.
  bool look() noexcept;
  void run_ready() noexcept;
  /// A message that the worker has sent to itself, without a wake-up.
  bool must_look_again() const noexcept { return !worker.inbox.empty(); }
  detail::suspended* steal() noexcept { return pool.steal(*this); }
  void run(detail::suspended& stolen) noexcept {
    wait.found();
    stretches.begin(pool.now(), worker.resumes);
    if (detail::promise_base* const p = worker.begin(stolen)) worker.resume(*p);
    worker.holds.give_back();
  }
  unsigned random() noexcept {
    random_state = random_state * 1'664'525 + 1'013'904'223;
    return random_state >> 16;
  }
  bool search_again() noexcept { return wait.look_again(1 + looks); }
  bool work_anywhere() const noexcept { return pool.work_anywhere(); }
  void wake_one() noexcept { pool.wake_one(); }
  void about_to_sleep() noexcept;
  void sleep() noexcept;
  detail::parker<>& parking() noexcept { return worker.parking; }

  // For nearest_first().
  void note_core() noexcept;
  int core() const noexcept { return core_.load(std::memory_order_relaxed); }  // relaxed: a hint

  thread_pool& pool;
  detail::worker worker;
  std::unique_ptr<detail::ring> ring;
  std::exception_ptr refused;  // why the ring could not be opened
  detail::patience wait;
  detail::stretch_length stretches;
  int looks = 0;  // of the last search, beside the first one
  unsigned random_state = worker.index;
  detail::message* sent = nullptr;  // taken from the pool's inbox, to be delivered here
  detail::suspended begun;          // what was forked elsewhere, and is to be run here
  unsigned last_victim = 0;         // looked at first: where there was work there may be more
  std::atomic<int> core_{-1};       // where its thread was a moment ago, where that matters
  std::thread thread;
};

struct thread_pool::parts {
  parts(thread_pool& pool, const run_options& o)
      : options(o), kernel(o.kernel != nullptr ? *o.kernel : system_kernel()),
        helpers(detail::make_helpers(kernel, o.helpers_max)), hosting(pool),
        stalls(detail::make_stall_watch(kernel, o, o.workers)),
        forces(o.workers > 1 && kernel.heavy_fence() == 0) {
    if (o.workers > 2) cores = &detail::core_distances::of_machine();
  }

  /// False where the system refuses it: what is hidden stays so until its owner shares it.
  bool heavy_fence() const noexcept { return forces && kernel.heavy_fence() == 0; }

  const run_options options;
  const detail::fork_guard here;
  weft::kernel& kernel;
  const std::shared_ptr<detail::helper_pool> helpers;
  detail::hosting hosting;
  const std::unique_ptr<detail::stall_watch> stalls;  // null: not asked for
  const bool forces;                                  // workers can take what others hide
  const detail::core_distances all_near;
  const detail::core_distances* cores = &all_near;  // of two workers each is the nearest
  detail::shared_inbox inbox;                       // whoever comes first delivers
  std::vector<std::unique_ptr<seat>> seats;
  detail::theft_note<> thefts;

  // The start: nobody works before every ring is open, since any may have to ring any other's bell.
  std::mutex gate;
  std::condition_variable gate_changed;
  unsigned opened = 0;
  bool go = false;
};

}  // namespace weft

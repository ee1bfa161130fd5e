// SPDX-License-Identifier: MIT
#include "weft/sched/thread_pool.hpp"

#include "weft/io/kernel/fork_guard.hpp"
#include "weft/io/ring.hpp"
#include "weft/runtime/assert.hpp"
#include "weft/sched/detail/core_distances.hpp"
#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/detail/nearest_first.hpp"
#include "weft/sched/detail/patience.hpp"
#include "weft/sched/detail/shared_inbox.hpp"
#include "weft/sched/detail/signal_watch.hpp"
#include "weft/sched/detail/stall_watch.hpp"
#include "weft/sched/detail/task_report.hpp"
#include "weft/sched/detail/theft_note.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/detail/work_or_park.hpp"
#include "weft/sched/trace.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sched.h>

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
    if (detail::promise_base* const p = worker.begin(stolen)) worker.resume(*p);
    worker.holds.give_back();
  }
  unsigned random() noexcept {
    random_state = random_state * 1'664'525 + 1'013'904'223;
    return random_state >> 16;
  }
  bool search_again() noexcept { return wait.look_again(); }
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

namespace {

/// Looks at what others fork before a thief takes by force what they hide: about 10 us.
constexpr int patience = 100;

/// A single worker is robbed by nobody.
detail::forks_taken_by takers(const run_options& o) noexcept {
  return o.workers == 1 ? detail::forks_taken_by::owner : detail::forks_taken_by::thieves;
}

run_options with_workers(run_options o) noexcept {
  if (o.workers == 0) o.workers = available_cores();
  return o;
}

}  // namespace

thread_pool::thread_pool(run_options options) : thread_pool(with_workers(options), counted()) {}

thread_pool::thread_pool(const run_options& options, counted)
    : scheduler(true, options.workers, takers(options)),
      parts_(std::make_unique<parts>(*this, options)) {
  auto& seats = parts_->seats;
  const std::int64_t patience_ns = detail::patience_of(parts_->kernel, options.workers);
  seats.reserve(options.workers);
  for (unsigned i = 0; i < options.workers; ++i) {
    seats.push_back(std::make_unique<seat>(*this, i, parts_->kernel, patience_ns));
    if (options.trace != nullptr)
      seats[i]->worker.trace = &options.trace->add_lane("worker " + std::to_string(i));
    seats[i]->worker.observed = options.trace != nullptr || parts_->stalls != nullptr;
  }
  start_threads();
}

void thread_pool::start_threads() {
  parts& p = *parts_;
  std::exception_ptr refused;
  unsigned started = 0;
  try {
    for (auto& s : p.seats) {
      s->thread = std::thread([this, &self = *s] {
        open_seat(self);
        wait_for_the_others();
        work(self);
      });
      ++started;
    }
  } catch (...) {
    refused = std::current_exception();
  }
  std::unique_lock lock(p.gate);
  p.gate_changed.wait(lock, [&] { return p.opened == started; });
  for (auto& s : p.seats)
    if (refused == nullptr) refused = s->refused;
  if (refused != nullptr)
    for (auto& s : p.seats) (void)s->worker.parking.terminate();
  p.go = true;
  lock.unlock();
  p.gate_changed.notify_all();
  if (refused == nullptr) return;
  for (auto& s : p.seats)
    if (s->thread.joinable()) s->thread.join();
  if (started == p.seats.size()) std::rethrow_exception(refused);
  try {
    std::rethrow_exception(refused);
  } catch (const std::system_error& e) {
    throw std::system_error(
        e.code(), "weft cannot start: creating the thread of worker " + std::to_string(started) +
                      " failed; look at ulimit -u (RLIMIT_NPROC) and the cgroup's "
                      "pids.max");
  }
}

void thread_pool::open_seat(seat& s) noexcept {
  try {
    s.ring = std::make_unique<detail::ring>(parts_->kernel, s.worker, *parts_->helpers,
                                            parts_->options.queue);
    s.worker.ring = s.ring.get();
  } catch (...) {
    s.refused = std::current_exception();
  }
}

void thread_pool::wait_for_the_others() noexcept {
  parts& p = *parts_;
  std::unique_lock lock(p.gate);
  ++p.opened;
  p.gate_changed.notify_all();
  p.gate_changed.wait(lock, [&] { return p.go; });
}

thread_pool::~thread_pool() {
  parts& p = *parts_;
  WEFT_ASSERT(detail::current_worker() == nullptr || detail::current_worker()->home != this,
              "a thread_pool was destroyed on one of its own workers: it would join itself");
  if (p.here.in_forked_child()) {
    (void)parts_.release();  // its threads are not here to be joined, its rings not mapped
    return;
  }
  p.hosting.guests.close();
  p.hosting.guests.wait_until_empty();
  for (auto& s : p.seats)
    if (s->worker.parking.terminate()) s->ring->ring_doorbell();
  for (auto& s : p.seats) s->thread.join();
  while (somebody_sends()) std::this_thread::yield();
  while (detail::message* const m = p.inbox.take([] {})) detail::discard_posted(*m);
}

unsigned thread_pool::workers() const noexcept {
  return static_cast<unsigned>(parts_->seats.size());
}

bool thread_pool::has_messages() const noexcept { return !parts_->inbox.empty(); }

void thread_pool::refuse_in_forked_child() const {
  if (parts_->here.in_forked_child())
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "run: this thread_pool was made before fork(), and its threads and "
                            "rings stayed with the parent: make a new one in the child");
}

void thread_pool::drive(detail::main_task_base& main) {
  detail::signal_watches watches(*this, parts_->kernel, parts_->options, main);
  main.report_deadlock();
  main.prepare();
  std::exception_ptr refused;
  try {
    watches.start();
  } catch (...) {
    refused = std::current_exception();
    main.request_stop();
  }
  main.launch();
  main.wait();
  if (refused != nullptr) std::rethrow_exception(refused);
}

void thread_pool::send(detail::message& m) noexcept {
  // Nobody would ever come for it, and no sleeper need be there whose doorbell says so.
  if (parts_->here.in_forked_child()) [[unlikely]]
    detail::fatal("a task or function was sent to a thread_pool in a forked child, where its "
                  "threads are not: make a new one after the fork");
  const sending guard(*this);
  parts_->inbox.push(m);
  notify_pushed();
}

void thread_pool::send_to(detail::worker& w, detail::message& m) noexcept {
  const sending guard(*this);
  w.inbox.push(m);
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

std::int64_t thread_pool::now() noexcept { return parts_->kernel.now(); }

bool thread_pool::admit(detail::guest& g) noexcept { return parts_->hosting.guests.admit(g); }

void thread_pool::dismiss(detail::guest& g) noexcept { parts_->hosting.guests.dismiss(g); }

detail::hosting& thread_pool::hosting() noexcept { return parts_->hosting; }

void thread_pool::hold_outside() noexcept { parts_->hosting.outside->hold(); }

void thread_pool::release_outside() noexcept { parts_->hosting.outside->release(); }

void thread_pool::look_again() noexcept {
  const sending guard(*this);
  notify_pushed();
}

detail::message* thread_pool::take_message() noexcept {
  return parts_->inbox.take([this] { notify_pushed(); });
}

void thread_pool::wake_one() noexcept {
  const int sleeper = idle_.claim_sleeper();
  if (sleeper < 0) return;
  detail::worker& w = parts_->seats[static_cast<std::size_t>(sleeper)]->worker;
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

bool thread_pool::work_anywhere() const noexcept {
  if (!parts_->inbox.empty()) return true;
  // After a theft, what a worker has forked is shared late, or hidden while it computes.
  if (parts_->thefts.take() && parts_->heavy_fence()) {
    for (const auto& s : parts_->seats)
      if (s->worker.forks.hides()) return true;
  }
  for (const auto& s : parts_->seats)
    if (!s->worker.fifo.empty() || s->worker.forks.offers()) return true;
  return false;
}

/// Whether nothing can make a task ready any more. Between two equal answers of all_asleep() no
/// worker ran, so what was seen of one still held when the last was looked at.
bool thread_pool::waits_for_ever(const seat& self) noexcept {
  const parts& p = *parts_;
  // A glance first: most sleepers wait for something themselves.
  const std::size_t own = p.hosting.own_operations.load(std::memory_order_relaxed);
  if (self.ring->in_flight() > own || !p.hosting.guests.somebody_to_tell()) return false;
  const std::uint64_t asleep = idle_.all_asleep();
  if (asleep == 0) return false;
  if (detail::calls_outstanding(*p.helpers) || p.hosting.may_be_woken()) return false;
  std::uint64_t in_flight = 0;
  for (const auto& s : p.seats) {
    in_flight += s->ring->in_flight();
    if (s->worker.timers.next_deadline() != detail::no_deadline || !s->worker.inbox.empty())
      return false;
  }
  return in_flight <= p.hosting.own_operations.load(std::memory_order_relaxed) &&
         !work_anywhere() && idle_.all_asleep() == asleep;
}

void thread_pool::seat::note_core() noexcept {
  if (pool.parts_->cores->levels() == 1) return;
  core_.store(sched_getcpu(), std::memory_order_relaxed);  // relaxed: a hint
}

/// What the oldest fork of another worker resumes, else half of its woken tasks.
detail::suspended* thread_pool::steal_shared(seat& thief) noexcept {
  return detail::nearest_first<seat>(
      parts_->seats, thief, *parts_->cores, [&](seat& victim) -> detail::suspended* {
        if (detail::forked* const f = victim.worker.forks.steal()) return begin(thief, victim, *f);
        detail::suspended* const s = thief.worker.fifo.steal_from(victim.worker.fifo);
        if (s != nullptr) thief.last_victim = victim.worker.index;
        return s;
      });
}

/// The same for what a worker has forked and not shared, since it has computed for long.
detail::suspended* thread_pool::steal_hidden(seat& thief) noexcept {
  const auto fence = [this] { (void)parts_->heavy_fence(); };
  return detail::nearest_first<seat>(
      parts_->seats, thief, *parts_->cores, [&](seat& victim) -> detail::suspended* {
        if (!victim.worker.forks.hides()) return nullptr;
        detail::forked* const f = victim.worker.forks.steal_by_force(fence);
        return f != nullptr ? begin(thief, victim, *f) : nullptr;
      });
}

detail::suspended* thread_pool::steal(seat& thief) noexcept {
  for (int looks = 0; looks < patience; ++looks) {
    if (detail::suspended* const s = steal_shared(thief)) return s;
    // Who hides something shares it with the next thing that it forks or takes back.
    if (!somebody_hides(thief)) return nullptr;
    detail::wait_briefly(looks);
  }
  return parts_->forces ? steal_hidden(thief) : nullptr;
}

/// The victim may not know yet that it has to share the next one.
detail::suspended* thread_pool::begin(seat& thief, seat& victim, detail::forked& f) noexcept {
  thief.last_victim = victim.worker.index;
  parts_->thefts.note();
  thief.begun.promise = &detail::begin_forked(f, thief.worker);
  return &thief.begun;
}

bool thread_pool::somebody_hides(const seat& thief) const noexcept {
  for (const auto& s : parts_->seats)
    if (s.get() != &thief && s->worker.forks.hides()) return true;
  return false;
}

bool thread_pool::seat::look() noexcept {
  note_core();
  sent = pool.take_message();
  const bool delivered = detail::look_around(worker);
  const bool any = sent != nullptr || worker.fifo.has_any() || worker.forks.hides();
  if (any || delivered) wait.found();
  return any;
}

void thread_pool::seat::run_ready() noexcept {
  for (unsigned i = 0; sent != nullptr; ++i) {
    detail::deliver(worker, *sent);
    sent = i != detail::resumes_per_turn ? pool.take_message() : nullptr;
  }
  detail::run_ready(worker, detail::resumes_per_turn);
}

/// What completes is queued for all to see, since the worker counts as asleep; but no other sleeper
/// is asked for yet, because it runs the first of it itself.
void thread_pool::seat::sleep() noexcept {
  wait.sleeps();
  worker.collecting = true;
  ring->wait(worker.timers.next_deadline());
  worker.collecting = false;
  wait.slept();
}

void thread_pool::seat::about_to_sleep() noexcept {
  if (pool.waits_for_ever(*this))
    pool.parts_->hosting.guests.tell_deadlock(detail::deadlock_text(pool));
}

void thread_pool::work(seat& self) noexcept {
  const detail::worker_binding binding(self.worker);
  const detail::watched_worker watched(parts_->stalls.get(), self.worker);
  detail::work_or_park(idle_, self.worker.index, self);
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/sched/thread_pool.hpp"

#include "weft/runtime/assert.hpp"
#include "weft/sched/detail/pool_parts.hpp"
#include "weft/sched/detail/signal_watch.hpp"
#include "weft/sched/detail/work_or_park.hpp"
#include "weft/sched/trace.hpp"

#include <string>
#include <system_error>

namespace weft {

namespace {

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

void thread_pool::wake_one() noexcept {
  const int sleeper = idle_.claim_sleeper();
  if (sleeper < 0) return;
  detail::worker& w = parts_->seats[static_cast<std::size_t>(sleeper)]->worker;
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

void thread_pool::work(seat& self) noexcept {
  const detail::worker_binding binding(self.worker);
  const detail::watched_worker watched(parts_->stalls.get(), self.worker);
  detail::work_or_park(idle_, self.worker.index, self);
}

}  // namespace weft

// SPDX-License-Identifier: MIT
#include "weft/sched/thread_pool.hpp"

#include <string>

#include "weft/io/ring.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/trace.hpp"

namespace weft {

/// A worker, its thread and its ring.
struct thread_pool::seat {
  seat(thread_pool& pool, unsigned index) : worker(pool, index, &pool.depot_) {}

  detail::worker worker;
  std::unique_ptr<detail::ring> ring;
  std::exception_ptr refused;  // why the ring could not be opened
  unsigned last_victim = 0;  // looked at first: where there was work there may be more
  std::thread thread;
};

namespace {

unsigned workers_wanted(const run_options& o) noexcept {
  return o.workers != 0 ? o.workers : available_cores();
}

}  // namespace

thread_pool::thread_pool(run_options options)
    : scheduler(true, workers_wanted(options)),
      options_(options),
      kernel_(options.kernel != nullptr ? *options.kernel : system_kernel()),
      helpers_(kernel_, options.helpers_max) {
  const unsigned count = workers_wanted(options);
  seats_.reserve(count);
  for (unsigned i = 0; i < count; ++i) seats_.push_back(std::make_unique<seat>(*this, i));
  if (options.trace != nullptr)
    for (auto& s : seats_)
      s->worker.trace =
          &options.trace->add_lane("worker " + std::to_string(s->worker.index));

  std::exception_ptr refused;
  try {
    for (auto& s : seats_)
      s->thread = std::thread([this, &seat = *s] {
        open_seat(seat);
        wait_for_the_others();
        work(seat);
      });
  } catch (...) {
    refused = std::current_exception();
  }
  unsigned started = 0;
  for (auto& s : seats_) started += s->thread.joinable() ? 1 : 0;
  std::unique_lock lock(gate_mutex_);
  gate_changed_.wait(lock, [&] { return opened_ == started; });
  for (auto& s : seats_)
    if (refused == nullptr) refused = s->refused;
  if (refused != nullptr)
    for (auto& s : seats_) (void)s->worker.parking.terminate();
  go_ = true;
  lock.unlock();
  gate_changed_.notify_all();
  if (refused == nullptr) return;
  for (auto& s : seats_)
    if (s->thread.joinable()) s->thread.join();
  std::rethrow_exception(refused);
}

void thread_pool::wait_for_the_others() noexcept {
  std::unique_lock lock(gate_mutex_);
  ++opened_;
  gate_changed_.notify_all();
  gate_changed_.wait(lock, [this] { return go_; });
}

thread_pool::~thread_pool() {
  WEFT_ASSERT(detail::current_worker() == nullptr || detail::current_worker()->home != this,
              "a thread_pool was destroyed on one of its own workers: it would join itself");
  guests_.close();
  guests_.wait_until_empty();
  end_threads();
  while (somebody_sends()) std::this_thread::yield();
  detail::discard_posted(shared_inbox_);
}

void thread_pool::end_threads() noexcept {
  for (auto& s : seats_)
    if (s->worker.parking.terminate()) s->ring->ring_doorbell();
  for (auto& s : seats_) s->thread.join();
}

void thread_pool::open_seat(seat& s) {
  try {
    s.ring = std::make_unique<detail::ring>(kernel_, s.worker, helpers_, options_.queue);
    s.worker.ring = s.ring.get();
  } catch (...) {
    s.refused = std::current_exception();
  }
}

void thread_pool::send(detail::message& m) noexcept {
  const sending guard(*this);
  shared_inbox_.push(m);
  notify_pushed();
}

void thread_pool::send_to(detail::worker& w, detail::message& m) noexcept {
  const sending guard(*this);
  w.inbox.push(m);
  wake(w);
}

std::int64_t thread_pool::now() noexcept { return kernel_.now(); }

void thread_pool::wake(detail::worker& w) noexcept {
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

void thread_pool::wake_one() noexcept {
  const int sleeper = idle_.claim_sleeper();
  if (sleeper >= 0) wake(seats_[static_cast<std::size_t>(sleeper)]->worker);
}

bool thread_pool::work_anywhere() const noexcept {
  if (!shared_inbox_.empty()) return true;
  for (const auto& s : seats_)
    if (!s->worker.fifo.empty() || !s->worker.forks.empty()) return true;
  return false;
}

/// A forked child of another worker, the oldest, else half of its woken tasks.
detail::suspended* thread_pool::steal(seat& thief) noexcept {
  const std::size_t count = seats_.size();
  for (std::size_t i = 0; i < count; ++i) {
    seat& victim = *seats_[(thief.last_victim + i) % count];
    if (&victim == &thief) continue;
    detail::suspended* s = victim.worker.forks.steal();
    if (s == nullptr) s = thief.worker.fifo.steal_from(victim.worker.fifo);
    if (s == nullptr) continue;
    thief.last_victim = victim.worker.index;
    return s;
  }
  return nullptr;
}

void thread_pool::work(seat& self) noexcept {
  detail::worker& w = self.worker;
  const detail::worker_binding binding(w);
  bool searching = false;
  const auto end_search = [&] {
    if (searching && idle_.end_search()) wake_one();
    searching = false;
  };
  while (!w.parking.terminated()) {
    detail::deliver_messages(w, shared_inbox_);
    detail::look_around(w);
    if (!w.fifo.empty() || !w.forks.empty()) {
      end_search();
      detail::run_ready(w, detail::resumes_per_turn);
      continue;
    }
    if (!w.inbox.empty()) continue;  // sent by itself, so without a wake-up
    if (!searching) searching = idle_.try_begin_search();
    if (searching) {
      if (detail::suspended* const s = steal(self)) {
        end_search();
        w.resume(*s);
        continue;
      }
    }
    const bool look_again = idle_.go_to_sleep(w.index, searching);
    if (!(look_again && work_anywhere()) && w.parking.prepare_park()) {
      w.ring->wait(w.timers.next_deadline());
      w.parking.resume();
    }
    searching = idle_.woke_up(w.index);
  }
}

}  // namespace weft

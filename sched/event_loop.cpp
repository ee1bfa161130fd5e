// SPDX-License-Identifier: MIT
#include "weft/sched/event_loop.hpp"

#include <thread>

#include "weft/io/ring.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/trace.hpp"

namespace weft {

event_loop::event_loop(run_options options)
    : scheduler(false, 1),
      options_(options),
      kernel_(options.kernel != nullptr ? *options.kernel : system_kernel()),
      helpers_(kernel_, options.helpers_max),
      worker_(*this, 0, &depot_) {}

event_loop::~event_loop() {
  WEFT_ASSERT(guests_.empty(), "an event_loop was destroyed while a task runs on it");
  while (somebody_sends()) std::this_thread::yield();
  detail::discard_posted(worker_.inbox);
}

void event_loop::send(detail::message& m) noexcept { send_to(worker_, m); }

void event_loop::send_to(detail::worker& w, detail::message& m) noexcept {
  const sending guard(*this);
  w.inbox.push(m);
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

std::int64_t event_loop::now() noexcept { return kernel_.now(); }

void event_loop::drive(detail::main_task_base& main) {
  detail::ring ring(kernel_, worker_, helpers_, options_.queue);
  const detail::worker_binding binding(worker_);
  worker_.ring = &ring;
  if (options_.trace != nullptr) worker_.trace = &options_.trace->add_lane("event loop");
  main.start();
  while (!main.ended()) turn([&] { return main.ended(); });
  guests_.close();
  while (!guests_.empty()) turn([&] { return guests_.empty(); });
  guests_.reopen();
  while (somebody_sends()) std::this_thread::yield();
  worker_.trace = nullptr;
  worker_.ring = nullptr;
}

template <class Ended>
void event_loop::turn(Ended ended) noexcept {
  detail::worker& w = worker_;
  detail::deliver_messages(w, w.inbox);
  detail::expire_timers(w);
  const unsigned ran = detail::run_ready(w, detail::resumes_per_turn);
  if (ended()) return;
  // What the loop's own tasks sent to it came without a wake-up.
  if (ran == detail::resumes_per_turn || !w.inbox.empty() || !w.parking.prepare_park()) {
    w.ring->poll();
    return;
  }
  w.ring->wait(w.timers.next_deadline());
  w.parking.resume();
}

}  // namespace weft

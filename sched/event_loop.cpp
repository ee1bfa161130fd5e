// SPDX-License-Identifier: MIT
#include "weft/sched/event_loop.hpp"

#include "weft/io/kernel/fork_guard.hpp"
#include "weft/io/ring.hpp"
#include "weft/runtime/worker.hpp"
#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/detail/patience.hpp"
#include "weft/sched/detail/signal_watch.hpp"
#include "weft/sched/detail/stall_watch.hpp"
#include "weft/sched/detail/task_report.hpp"
#include "weft/sched/detail/turn.hpp"
#include "weft/sched/trace.hpp"

#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

namespace weft {

struct event_loop::parts {
  parts(event_loop& loop, const run_options& o)
      : options(o), kernel(o.kernel != nullptr ? *o.kernel : system_kernel()),
        helpers(detail::make_helpers(kernel, o.helpers_max)), worker(loop, 0), hosting(loop),
        wait(kernel, detail::patience_of(kernel, 1)),
        stalls(detail::make_stall_watch(kernel, o, 1)) {}

  const run_options options;
  const detail::fork_guard here;
  // E1: a run's end (release) -> the next run's begin (acquire): hands over the worker record.
  std::atomic<bool> driven{false};
  weft::kernel& kernel;
  const std::shared_ptr<detail::helper_pool> helpers;
  detail::worker worker;
  detail::hosting hosting;
  detail::patience wait;
  const std::unique_ptr<detail::stall_watch> stalls;  // null: not asked for
};

namespace {

/// Lets one run at a time through.
class turnstile {
public:
  explicit turnstile(std::atomic<bool>& driven) noexcept
      : driven_(driven), entered_(!driven.exchange(true, std::memory_order_acquire)) {}
  turnstile(const turnstile&) = delete;
  turnstile& operator=(const turnstile&) = delete;
  ~turnstile() {
    if (entered_) driven_.store(false, std::memory_order_release);
  }

  bool entered() const noexcept { return entered_; }

private:
  std::atomic<bool>& driven_;
  const bool entered_;
};

}  // namespace

event_loop::event_loop(run_options options)
    : scheduler(false, 1), parts_(std::make_unique<parts>(*this, options)) {}

event_loop::~event_loop() {
  if (parts_->here.in_forked_child()) {
    (void)parts_.release();  // its helper threads are not here to be joined
    return;
  }
  WEFT_ASSERT(parts_->hosting.guests.empty(),
              "an event_loop was destroyed while a task runs on it");
  while (somebody_sends()) std::this_thread::yield();
  for (detail::message* m = parts_->worker.inbox.drain(); m != nullptr;)
    detail::discard_posted(*std::exchange(m, m->next_message));
}

void event_loop::send(detail::message& m) noexcept { send_to(parts_->worker, m); }

void event_loop::send_to(detail::worker& w, detail::message& m) noexcept {
  const sending guard(*this);
  w.inbox.push(m);
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

std::int64_t event_loop::now() noexcept { return parts_->kernel.now(); }

bool event_loop::admit(detail::guest& g) noexcept { return parts_->hosting.guests.admit(g); }

void event_loop::dismiss(detail::guest& g) noexcept {
  const sending guard(*this);
  detail::worker& w = parts_->worker;
  parts_->hosting.guests.dismiss(g);
  // The last to let go of a guest may be the thread that sent it, while the loop sleeps for its
  // guests.
  if (detail::current_worker() != &w && w.parking.unpark()) w.ring->ring_doorbell();
}

detail::hosting& event_loop::hosting() noexcept { return parts_->hosting; }

void event_loop::hold_outside() noexcept { parts_->hosting.outside->hold(); }

void event_loop::release_outside() noexcept { parts_->hosting.outside->release(); }

void event_loop::look_again() noexcept {
  const sending guard(*this);
  detail::worker& w = parts_->worker;
  if (w.parking.unpark()) w.ring->ring_doorbell();
}

void event_loop::drive(detail::main_task_base& main) {
  parts& p = *parts_;
  if (p.here.in_forked_child())
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "run: this event_loop was made before fork(), and its helper threads "
                            "stayed with the parent: make a new one in the child");
  const turnstile alone(p.driven);
  if (!alone.entered())
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "run: this event_loop is running already, on another thread: use "
                            "co_await weft::on(loop, task), post, or a loop of its own");
  detail::signal_watches watches(*this, p.kernel, p.options, main);
  detail::worker& w = p.worker;
  detail::ring ring(p.kernel, w, *p.helpers, p.options.queue);
  const detail::worker_binding binding(w);
  if (p.options.trace != nullptr) w.trace = &p.options.trace->add_lane("event loop");
  w.ring = &ring;
  const detail::watched_worker watched(p.stalls.get(), w);
  w.observed = w.trace != nullptr || p.stalls != nullptr;
  struct left_empty {  // also when the start fails
    detail::worker& w;
    ~left_empty() {
      w.ring = nullptr;
      w.trace = nullptr;
    }
  };
  const left_empty at_end{w};
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
  while (!main.ended()) turn([&] { return main.ended(); });
  p.hosting.guests.close();
  while (!p.hosting.guests.empty()) turn([&] { return p.hosting.guests.empty(); });
  p.hosting.guests.reopen();
  while (somebody_sends()) std::this_thread::yield();
  if (refused != nullptr) std::rethrow_exception(refused);
}

/// The guests up to this one wait for ever; 0: something can make a task ready. Nothing is ready.
std::uint64_t event_loop::last_deadlocked() noexcept {
  parts& p = *parts_;
  if (p.worker.timers.next_deadline() != detail::no_deadline ||
      p.worker.ring->in_flight() > p.hosting.own_operations.load(std::memory_order_relaxed))
    return 0;
  const std::uint64_t last = p.hosting.guests.last_to_tell();
  const bool for_ever = last != 0 && !detail::calls_outstanding(*p.helpers) &&
                        !p.hosting.may_be_woken() && p.worker.inbox.empty();
  return for_ever ? last : 0;
}

template <class Ended>
void event_loop::turn(Ended ended) noexcept {
  detail::worker& w = parts_->worker;
  const bool delivered = detail::deliver_messages(w);
  detail::begin_turn(w);
  const unsigned ran = detail::run_ready(w, detail::resumes_per_turn);
  if (ended()) return;
  detail::patience& wait = parts_->wait;
  if (delivered || ran != 0) wait.found();
  // Between two looks nobody has to ring: the loop counts as awake.
  const bool dry = ran < detail::resumes_per_turn && !w.turn_is_over;
  if (dry && wait.look_again()) {
    w.ring->poll();
    return;
  }
  const std::uint64_t last = dry ? last_deadlocked() : 0;
  if (last != 0 && parts_->hosting.guests.tell_deadlock(detail::deadlock_text(*this), last) != 0)
    return;
  // What the loop's own tasks sent to it came without a wake-up.
  if (!dry || !w.inbox.empty() || !w.parking.prepare_park()) {
    w.ring->poll();
    return;
  }
  wait.sleeps();
  w.ring->wait(w.timers.next_deadline());
  wait.slept();
  w.parking.resume();
}

}  // namespace weft

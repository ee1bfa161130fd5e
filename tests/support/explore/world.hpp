// SPDX-License-Identifier: MIT
#pragma once

// A small world in which the library's own strands, scopes and synchronisation objects are
// explored: a pool of real worker records on threads of the explorer, and coroutines that run on
// them as strands of one scope. For programs that are built with the seam (seam/weft/runtime/), so
// that every lock, stop and hand-over is a step. A strand and a scope end where their owner would
// end them, so that who touches them later is found out.

#include "support/explore/atomic.hpp"
#include "support/explore/engine.hpp"
#include "weft/runtime/operation.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/scheduler.hpp"
#include "weft/runtime/scope.hpp"
#include "weft/runtime/strand.hpp"
#include "weft/runtime/worker.hpp"

#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <source_location>
#include <utility>
#include <vector>

namespace weft::explore {

class world;

/// Awaits `awaited`, and notes that the coroutine is suspended before anybody can resume it.
template <class Awaiter, class Promise>
struct watched_await {
  Awaiter awaited;
  Promise* awaiting;

  bool await_ready() noexcept { return awaited.await_ready(); }
  template <class Handle>
  auto await_suspend(Handle h) noexcept {
    using answer = decltype(awaited.await_suspend(h));
    Promise& p = *awaiting;
    p.suspended.write(true);
    if constexpr (std::is_void_v<answer>) {
      awaited.await_suspend(h);
    } else if constexpr (std::is_same_v<answer, bool>) {
      const bool waits = awaited.await_suspend(h);
      if (!waits) p.suspended.write(false);  // nobody was told
      return waits;
    } else {
      return awaited.await_suspend(h);  // a task: whoever ends it comes back
    }
  }
  decltype(auto) await_resume() {
    awaiting->suspended.write(false);
    return awaited.await_resume();
  }
};

/// A coroutine that is the whole of a strand.
struct actor {
  struct promise_type;
  promise_type* promise;
};

struct actor::promise_type : detail::promise_base {
  explicit promise_type(std::source_location where = std::source_location::current()) noexcept
      : promise_base(where) {
    node.promise = this;
  }
  // Not from the current worker: frames stay until the world ends.
  static void* operator new(std::size_t bytes) { return ::operator new(bytes); }
  static void operator delete(void* p) noexcept { ::operator delete(p); }

  struct at_the_end {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<promise_type> h) const noexcept { h.promise().end(); }
    void await_resume() const noexcept {}
  };

  actor get_return_object() noexcept { return {this}; }
  at_the_end final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  void unhandled_exception() const { fail("an exception leaves a task"); }

  template <class A>
  auto await_transform(A&& a) {
    auto awaited = promise_base::await_transform(std::forward<A>(a));
    return watched_await<decltype(awaited), promise_type>{awaited, this};
  }

  /// The strand leaves, and is no more; then the scope is let go.
  void end() noexcept;

  world* home = nullptr;
  detail::cancel_scope* base = nullptr;
  detail::suspended node;
  std::optional<detail::strand> line;
  bool kept = false;  // the strand stays until the world ends, as if a handle kept it
  plain<bool> suspended{true};
};

/// A pool of workers that take messages, timers that are due, and what they have made ready
/// themselves; with let_steal() also what others have forked and made ready. What a scenario
/// shares derives from it: so it stays where it is, unchecked, when an execution has failed.
class world : public scheduler {
public:
  /// Adds the workers' threads to the scenario.
  template <class World = world>
  static std::shared_ptr<World> make(scenario& s, unsigned workers) {
    const std::shared_ptr<World> made(new World(workers), [](World* w) {
      if (!clearing_away()) delete w;
    });
    made->add_threads(s, made);
    return made;
  }
  explicit world(unsigned workers);
  virtual ~world();

  /// The scope of everything. It ends, and with it the world, when nobody holds it any more.
  detail::cancel_scope& root() noexcept { return *root_; }

  /// Runs `a` on worker `on`, as a strand of `base`. Thread: set-up, or inside of `base`.
  void spawn(unsigned on, detail::cancel_scope& base, actor a);
  void spawn(unsigned on, actor a) { spawn(on, root(), a); }

  /// A thread that is no worker. It holds the root until it ends.
  void outsider(scenario& s, std::function<void()> body);
  /// One that stops the root.
  void stopper(scenario& s) {
    outsider(s, [this] { root().request_stop(); });
  }

  /// In the set-up: workers that have nothing to do take what others have.
  void let_steal() noexcept { steals_ = true; }
  /// A thread with which the time comes, once, between any two steps of the others; not before
  /// `*begun`, which changes between the steps, too.
  void time_comes(scenario& s, std::int64_t ns, const bool* begun = nullptr) {
    s.thread([this, ns, begun] {
      if (begun != nullptr) wait_until([begun] { return *begun; });
      now_ = ns;
    });
  }
  bool time_has_come() const noexcept { return now_ != 0; }

  detail::worker& worker(unsigned i) noexcept { return *workers_[i]->record; }

  void send(detail::message& m) noexcept override;
  void send_to(detail::worker& w, detail::message& m) noexcept override;
  std::int64_t now() noexcept override { return now_; }
  bool admit(detail::guest&) noexcept override { return false; }
  void dismiss(detail::guest&) noexcept override {}
  detail::hosting& hosting() noexcept override { std::abort(); }
  void hold_outside() noexcept override {}
  void release_outside() noexcept override {}
  void look_again() noexcept override {}

  /// Fails when a message in the `bytes` at `record`, which ends now, is on its way.
  void ends(const void* record, std::size_t bytes) const;

private:
  friend struct actor::promise_type;
  struct inbox {
    mutex lock;
    std::deque<detail::message*> messages;
  };
  struct worker_thread {
    std::unique_ptr<detail::worker> record;
    inbox own;
    std::int64_t looked_at_timers_ns = 0;
  };
  struct root_scope final : detail::cancel_scope {
    explicit root_scope(world& w);
    world* home;
  };

  void wake_one() noexcept override {}
  void add_threads(scenario& s, const std::shared_ptr<world>& self);
  void work(unsigned me);
  void post(inbox& to, detail::message& m);
  detail::message* take(inbox& from);
  bool expire(worker_thread& own);
  detail::promise_base* next(unsigned me);
  bool others_have_work(unsigned me) const;
  void resume(detail::worker& w, detail::promise_base& p);
  bool ended() const { return !root_.has_value() && on_their_way_.empty(); }

  std::vector<std::unique_ptr<worker_thread>> workers_;
  inbox shared_inbox_;
  std::vector<detail::message*> on_their_way_;
  std::optional<root_scope> root_;
  bool steals_ = false;
  std::int64_t now_ = 0;
  const std::int64_t frames_before_;
  std::vector<std::coroutine_handle<>> frames_;
  std::vector<detail::worker*> bound_;  // to each thread
  std::optional<detail::worker_binding> binding_;
};

}  // namespace weft::explore

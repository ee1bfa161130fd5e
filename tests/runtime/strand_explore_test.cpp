// SPDX-License-Identifier: MIT

// A strand's wait under every interleaving (within the bounds of the explorer) of its completion,
// the stop of its scope, the stop of this strand alone, and scopes that it opens: it is resumed
// once, never while it is half published, with what its waker wrote, and no stop is lost. Each
// order that is weakened and each rule that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/scope_join.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/stop_token.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <vector>

namespace strand_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using weft::as_result;
using weft::semaphore;
using weft::detail::own_promise;

// Something that only worker 0 may touch, as a ring is: it withdraws an operation at once, or asks
// for the end and has it completed later.
class device {
public:
  enum class cancel : unsigned char { at_once, later };

  device(world& w, cancel c) : world_(&w), cancel_(c) { completion_.owner = this; }

  // Some other thread, or the device itself when it was asked to stop.
  void complete(int answer) {
    if (completing_) return;
    completing_ = true;
    answer_.write(answer);
    completion_.deliver = [](detail::message& m, detail::worker& w) noexcept {
      device& d = *static_cast<completion&>(m).owner;
      detail::operation& op = *d.pending_.read();
      d.pending_.write(nullptr);
      detail::strand_of(*op.promise).complete(op, w);
    };
    world_->send_to(world_->worker(0), completion_);
  }
  bool started_or_over() const { return started_ || over_; }
  void end() { completing_ = over_ = true; }

  class wait : public detail::awaitable_operation<wait, int> {
  public:
    [[maybe_unused]] static constexpr const char* name = "device::wait";

    explicit wait(device& d) noexcept : device_(&d) {}
    bool try_now(detail::worker&) noexcept { return false; }
    bool start(detail::worker& w) noexcept {
      owner = &w;
      device_->pending_.write(this);
      device_->started_ = true;
      return true;
    }
    static bool withdraw(detail::operation& op, detail::worker& w) noexcept {
      auto& self = static_cast<wait&>(op);
      device& d = *self.device_;
      check(&w == self.owner, "an operation is cancelled by its owner");
      check(!d.over_, "an operation that has ended is not cancelled");
      if (d.completing_ || d.pending_.read() == nullptr) return false;
      if (d.cancel_ == cancel::later) {
        d.complete(cancelled_answer);
        return false;
      }
      d.completing_ = true;  // nothing comes any more
      d.pending_.write(nullptr);
      d.answer_.write(cancelled_answer);
      return true;
    }
    weft::result<int> finish() noexcept {
      const int answer = device_->answer_.read();
      if (answer == cancelled_answer) return weft::failure{weft::cancelled_code()};
      return answer;
    }

  private:
    device* device_;
  };

private:
  static constexpr int cancelled_answer = -1;
  struct completion : detail::message {
    device* owner = nullptr;
  };

  world* world_;
  cancel cancel_;
  completion completion_;
  plain<detail::operation*> pending_{nullptr};  // touched by worker 0 alone
  plain<int> answer_;
  // Changed between the steps of the explorer.
  bool started_ = false, completing_ = false, over_ = false;
};

actor wait_for(device& d) {
  device::wait wait(d);
  const auto answer = co_await as_result(std::move(wait));
  check(!answer || *answer == 42, "the answer has been handed over");
  d.end();
}

// The outside of a device: completes what has been started.
void completer(scenario& s, world& w, device& d) {
  w.outsider(s, [&d] {
    wait_until([&d] { return d.started_or_over(); });
    d.complete(42);
  });
}

actor stop(world& w, plain<int>* reason = nullptr) {
  own_promise own;
  (void)co_await own;
  if (reason != nullptr) reason->write(1);
  w.root().request_stop();
}

template <device::cancel How>
struct with_device : world {
  using world::world;
  device d{*this, How};
};

// The owner completes while another worker carries a stop to it.
template <device::cancel How>
void owner_completes(scenario& s) {
  const auto w = world::make<with_device<How>>(s, 2);
  w->spawn(0, wait_for(w->d));
  w->spawn(1, stop(*w));
  completer(s, *w, w->d);
}

// Stops one strand alone, which a handle keeps.
actor stop_alone(actor other, plain<int>* reason = nullptr) {
  own_promise own;
  (void)co_await own;
  detail::strand& line = *other.promise->line;
  if (reason != nullptr) reason->write(1);
  if (line.try_stop_alone()) line.visit(nullptr, *detail::current_worker());
}

// Two stops, of the scope and of the strand alone, and the completion.
template <device::cancel How>
void two_stops(scenario& s) {
  const auto w = world::make<with_device<How>>(s, 2);
  const actor waiting = wait_for(w->d);
  waiting.promise->kept = true;
  w->spawn(0, waiting);
  w->spawn(1, stop_alone(waiting));
  w->spawn(1, stop(*w));
  if (How == device::cancel::at_once) completer(s, *w, w->d);
}

// What tasks wait for in each other: any worker may complete it, and withdraw it.
struct with_semaphore : world {
  using world::world;
  semaphore s{0};
  plain<int> given, left, reason;
};

actor take(with_semaphore& w, bool* taken = nullptr) {
  w.left.write(1);
  auto acquire = w.s.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(w.left.read() == 1, "what was written before the wait is there after it");
  if (!permit) co_return;
  check(w.given.read() == 1, "what was written before the release has been handed over");
  if (taken != nullptr) *taken = true;
}

actor give(with_semaphore& w) {
  own_promise own;
  (void)co_await own;
  w.given.write(1);
  w.s.release();
}

// A worker completes the wait of a strand of another one, which has just published it.
void another_completes(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  w->spawn(0, take(*w));
  w->spawn(1, give(*w));
}

// The same, and a stop comes by.
void another_completes_or_a_stop(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  w->spawn(0, take(*w));
  w->spawn(1, give(*w));
  w->spawn(1, stop(*w));
}

// A thread that is no worker completes it.
void an_outsider_completes(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 1);
  w->spawn(0, take(*w));
  w->outsider(s, [w = w.get()] {
    w->given.write(1);
    w->s.release();
  });
}

// Nobody gives: it is a stop that ends the wait, from outside or from another worker.
actor wait_for_a_stop(with_semaphore& w) {
  auto acquire = w.s.acquire();
  const auto permit = co_await as_result(std::move(acquire));
  check(!permit && w.reason.read() == 1, "what was written before the stop has been handed over");
}

void an_outsider_stops(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  w->spawn(0, wait_for_a_stop(*w));
  w->outsider(s, [w = w.get()] {
    w->reason.write(1);
    w->root().request_stop();
  });
}

void only_a_stop(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  w->spawn(0, wait_for_a_stop(*w));
  w->spawn(1, stop(*w, &w->reason));
}

void only_a_stop_alone(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  const actor waiting = wait_for_a_stop(*w);
  waiting.promise->kept = true;
  w->spawn(0, waiting);
  w->spawn(1, stop_alone(waiting, &w->reason));
}

// The strand has opened a scope, and waits in there.
actor wait_in_a_scope(with_semaphore& w) {
  own_promise own;
  detail::strand& line = detail::strand_of(co_await own);
  {
    detail::joinable_scope inner(w);
    line.open(inner);
    auto acquire = w.s.acquire();
    const auto permit = co_await as_result(std::move(acquire));
    check(!permit && w.reason.read() == 1, "what was written before the stop has been handed over");
    detail::scope_join join(inner);
    co_await join;
    line.close(inner);
    w.ends(&inner, sizeof inner);
  }
}

void a_stop_from_outside_of_a_scope(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  w->spawn(0, wait_in_a_scope(*w));
  w->spawn(1, stop(*w, &w->reason));
}

void a_stop_alone_outside_of_a_scope(scenario& s) {
  const auto w = world::make<with_semaphore>(s, 2);
  const actor waiting = wait_in_a_scope(*w);
  waiting.promise->kept = true;
  w->spawn(0, waiting);
  w->spawn(1, stop_alone(waiting, &w->reason));
}

// A token of the strand's scope, and one of a scope that the strand has opened: both hear of a stop
// that comes before their scope has closed, and the world does not end before they have.
struct with_tokens : world {
  using world::world;
  ~with_tokens() override {
    check(!outer || outer->stop_requested(), "a token that was there at the stop has been told");
  }
  std::optional<std::stop_token> outer;
};

actor ask_for_tokens(with_tokens& w) {
  own_promise own;
  detail::strand& line = detail::strand_of(co_await own);
  weft::detail::stop_token_query query = weft::this_task::stop_token();
  w.outer = co_await query;
  {
    detail::joinable_scope inner(w);
    line.open(inner);
    weft::detail::stop_token_query again = weft::this_task::stop_token();
    const std::stop_token token = co_await again;
    check(token != *w.outer, "each scope has a token of its own");
    detail::scope_join join(inner);
    co_await join;
    line.close(inner);
    w.ends(&inner, sizeof inner);
  }
  // Not before the stop has come: the strand stays until then.
  weft::semaphore never(0);
  auto acquire = never.acquire();
  (void)co_await as_result(std::move(acquire));
}

void tokens_meet_a_stop(scenario& s) {
  const auto w = world::make<with_tokens>(s, 2);
  w->spawn(0, ask_for_tokens(*w));
  w->stopper(s);
}

// A computation without awaits that ends when its token is told: another worker has to.
struct with_a_flag : world {
  using world::world;
  atomic<int> told{0};
};

actor compute_until_told(with_a_flag& w) {
  own_promise own;
  (void)co_await own;
  weft::detail::stop_token_query query = weft::this_task::stop_token();
  const std::stop_token token = co_await query;
  const std::stop_callback tell(token, [&w] { w.told.store(1, std::memory_order_release); });
  while (w.told.load(std::memory_order_acquire) == 0) engine::active().spin();
}

void a_token_alone_is_heard(scenario& s) {
  const auto w = world::make<with_a_flag>(s, 2);
  w->spawn(0, compute_until_told(*w));
  w->stopper(s);
}

void tokens_meet_a_stop_alone(scenario& s) {
  const auto w = world::make<with_tokens>(s, 2);
  const actor asking = ask_for_tokens(*w);
  asking.promise->kept = true;
  w->spawn(0, asking);
  w->spawn(1, stop_alone(asking, nullptr));
}

exploration explored(const char* name, void (*set_up)(scenario&), unsigned preemptions = 3) {
  return {{.name = name, .preemptions = preemptions, .stale_reads = 2, .random_executions = 2'000},
          set_up};
}

const std::vector<exploration>& waits() {
  constexpr auto at_once = device::cancel::at_once, later = device::cancel::later;
  static const std::vector<exploration> all{
      explored("strand/owner completes", owner_completes<at_once>, 2),
      explored("strand/owner completes later", owner_completes<later>, 2),
      explored("strand/two stops", two_stops<at_once>, 2),
      explored("strand/two stops, later", two_stops<later>),
      explored("strand/another completes", another_completes),
      explored("strand/another completes or a stop", another_completes_or_a_stop),
      explored("strand/an outsider completes", an_outsider_completes),
      explored("strand/an outsider stops", an_outsider_stops, 2),
      explored("strand/only a stop", only_a_stop),
      explored("strand/only a stop alone", only_a_stop_alone),
      explored("strand/a stop from outside of a scope", a_stop_from_outside_of_a_scope),
      explored("strand/a stop alone outside of a scope", a_stop_alone_outside_of_a_scope),
      explored("strand/tokens meet a stop", tokens_meet_a_stop, 2),
      explored("strand/tokens meet a stop alone", tokens_meet_a_stop_alone, 2),
      explored("strand/a token alone is heard", a_token_alone_is_heard, 2),
  };
  return all;
}

TEST_SUITE("runtime/strand explored") {
  TEST_CASE("a wait ends once, whoever ends it, and no stop is lost") {
    for (const exploration& e : waits()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of a wait that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("strand").empty())) {
    const verdict v = drop_each(waits(), "strand", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 17);
  }

  TEST_CASE("each memory order that is weakened is noticed, but for those excused" *
            doctest::skip(sanitized())) {
    const verdict v = weaken_each(
        waits(), {"/strand.hpp", "/strand.cpp", "/spin_lock.hpp", "/spin_lock.cpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 4);
  }
}

}  // namespace

}  // namespace strand_explore_test

// SPDX-License-Identifier: MIT

// A channel under every interleaving (within the bounds of the explorer) of senders, receivers,
// closing and cancels, with room and without: each value that was sent is received once or is left
// in the channel, with what its sender wrote before; those of one sender in their order; a send or
// receive that was cancelled has had no effect; and nobody waits on a closed channel. Each rule
// that is dropped is noticed.

#include "support/explore/engine.hpp"
#include "support/explore/mutants.hpp"
#include "support/explore/rules.hpp"
#include "support/explore/world.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/channel.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace channel_explore_test {

namespace {

using namespace weft::explore;
namespace detail = weft::detail;
using detail::own_promise;
using weft::as_result;

// The memory that letters are in: a slot is written again only after the last one has left.
using places = std::map<const void*, plain<bool>>;
places* marked = nullptr;

struct letter {
  explicit letter(int n) : number(n) { mark(); }
  letter(letter&& other) noexcept : number(other.number) { mark(); }
  ~letter() { mark(); }
  letter& operator=(letter&&) = delete;

  int number;

private:
  void mark() const {
    if (marked != nullptr) (*marked)[this].write(true);
  }
};

using sender = weft::channel_sender<letter>;
using receiver = weft::channel_receiver<letter>;

struct state : world {
  explicit state(unsigned workers) : world(workers) { marked = &places_; }
  ~state() override {
    marked = nullptr;
    while (const std::optional<letter> left = ends.receiver.try_receive()) note(*left);
    for (std::size_t i = 0; i != sent.size(); ++i) {
      check(sent[i].read() == received[i].read(), "what was sent is received, nothing else is");
    }
  }

  // The senders are held by the tasks alone: the last one that goes closes the channel.
  void connect(std::size_t capacity) { ends = weft::channel<letter>(capacity); }
  sender take_sender() { return std::move(ends.sender); }

  void note(const letter& l) {
    const auto i = static_cast<std::size_t>(l.number);
    check(written[i].read() == l.number + 1, "what its sender wrote has been handed over");
    check(!received[i].read(), "a value is received once");
    received[i].write(true);
  }

  weft::channel_ends<letter> ends = weft::channel<letter>(0);
  std::array<plain<bool>, 4> sent, received;
  std::array<plain<int>, 4> written;

private:
  places places_;
};

// What may end a wait beside what it waits for.
enum class cut_off : unsigned char { never, by_stop, by_close };

// Sends `count` letters from `first` on. Its end of the channel goes with the body.
actor send(state& st, sender to, int first, int count, cut_off may_be = cut_off::never) {
  const sender mine(std::move(to));
  for (int number = first; number != first + count; ++number) {
    const auto i = static_cast<std::size_t>(number);
    st.written[i].write(number + 1);
    letter l{number};
    auto sending = mine.send(std::move(l));
    const auto done = co_await as_result(std::move(sending));
    if (!done) {
      const bool closed = done.error() == std::errc::broken_pipe;
      check(may_be == (closed ? cut_off::by_close : cut_off::by_stop), "a send fails for a reason");
      break;
    }
    st.sent[i].write(true);
  }
}

// Receives until the channel is closed and drained, at most `count`.
actor receive(state& st, int count, cut_off may_be = cut_off::never, bool one_sender = true) {
  int last = -1;
  while (count-- != 0) {
    auto receiving = st.ends.receiver.receive();
    const auto got = co_await as_result(std::move(receiving));
    check(got || may_be == cut_off::by_stop, "a receive is cancelled by a stop");
    if (!got || !got->has_value()) break;
    check(last < (*got)->number || !one_sender, "the values of one sender keep their order");
    last = (*got)->number;
    st.note(**got);
  }
}

actor stop(state& st) {
  own_promise own;
  (void)co_await own;
  st.root().request_stop();
}

actor stop_alone(actor other) {
  own_promise own;
  (void)co_await own;
  detail::strand& line = *other.promise->line;
  if (line.try_stop_alone()) line.visit(nullptr, *detail::current_worker());
}

actor close(state& st) {
  own_promise own;
  (void)co_await own;
  st.ends.receiver.close();
}

// A channel that was closed takes nothing, room or not.
actor close_and_send(state& st, sender to) {
  st.ends.receiver.close();
  letter l{0};
  auto sending = to.send(std::move(l));
  const auto done = co_await as_result(std::move(sending));
  check(!done && done.error() == std::errc::broken_pipe, "nothing is sent behind the end");
}

std::shared_ptr<state> connected(scenario& s, unsigned workers, std::size_t capacity) {
  const auto st = world::make<state>(s, workers);
  st->connect(capacity);
  return st;
}

// One value more than there is room for, and the end.
template <std::size_t Capacity>
void one_to_one(scenario& s) {
  const auto st = connected(s, 2, Capacity);
  constexpr int count = Capacity == 0 ? 2 : Capacity + 1;
  st->spawn(0, send(*st, st->take_sender(), 0, count));
  st->spawn(1, receive(*st, count + 1));
}

// Who receives one value makes room for the next.
void room_is_used(scenario& s) {
  const auto st = connected(s, 2, 1);
  st->spawn(0, send(*st, st->take_sender(), 0, 2));
  st->spawn(1, receive(*st, 1));
}

// Two senders that know nothing of each other.
template <std::size_t Capacity>
void two_to_one(scenario& s) {
  const auto st = connected(s, 3, Capacity);
  st->spawn(0, send(*st, st->ends.sender, 0, 1));
  st->spawn(1, send(*st, st->take_sender(), 1, 1));
  st->spawn(2, receive(*st, 3, cut_off::never, false));
}

// While one sender waits for room another one comes.
void room_is_not_taken_twice(scenario& s) {
  const auto st = connected(s, 2, 1);
  st->spawn(0, send(*st, st->ends.sender, 0, 2));
  st->spawn(0, send(*st, st->take_sender(), 2, 1));
  st->spawn(1, receive(*st, 4, cut_off::never, false));
}

// Both receivers hear of the end.
template <std::size_t Capacity>
void one_to_two(scenario& s) {
  const auto st = connected(s, 3, Capacity);
  st->spawn(0, send(*st, st->take_sender(), 0, 1));
  st->spawn(1, receive(*st, 2));
  st->spawn(2, receive(*st, 2));
}

template <std::size_t Capacity>
void stopped(scenario& s) {
  const auto st = connected(s, 2, Capacity);
  st->spawn(0, send(*st, st->take_sender(), 0, 2, cut_off::by_stop));
  st->spawn(1, receive(*st, 3, cut_off::by_stop));
  st->spawn(1, stop(*st));
}

// One of two receivers is cancelled while a value is on its way to it: the other one gets it, or
// the cancelled one has it.
void a_receiver_is_stopped(scenario& s) {
  const auto st = connected(s, 2, 0);
  const actor cancelled = receive(*st, 1, cut_off::by_stop);
  cancelled.promise->kept = true;
  st->spawn(0, cancelled);
  st->spawn(0, receive(*st, 2));
  st->spawn(1, send(*st, st->take_sender(), 0, 1));
  st->spawn(1, stop_alone(cancelled));
}

// One of two senders is cancelled while its value is taken.
template <std::size_t Capacity>
void a_sender_is_stopped(scenario& s) {
  const auto st = connected(s, 2, Capacity);
  const actor cancelled = send(*st, st->ends.sender, 0, 2, cut_off::by_stop);
  cancelled.promise->kept = true;
  st->spawn(0, cancelled);
  st->spawn(0, send(*st, st->take_sender(), 2, 1));
  st->spawn(1, stop_alone(cancelled));
  st->spawn(1, receive(*st, 4, cut_off::never, false));
}

// The receiving end closes while senders wait for room.
template <std::size_t Capacity>
void closed(scenario& s) {
  const auto st = connected(s, 2, Capacity);
  st->spawn(0, send(*st, st->ends.sender, 0, 2, cut_off::by_close));
  st->spawn(0, send(*st, st->take_sender(), 2, 1, cut_off::by_close));
  st->spawn(1, close(*st));
}

void closed_before(scenario& s) {
  const auto st = connected(s, 1, 1);
  st->spawn(0, close_and_send(*st, st->take_sender()));
}

// A thread that is no worker closes while one waits to receive.
void closed_from_outside(scenario& s) {
  const auto st = connected(s, 1, 1);
  st->spawn(0, receive(*st, 1));
  st->outsider(s, [st = st.get()] { st->ends.receiver.close(); });
}

exploration explored(const char* name, void (*set_up)(scenario&), unsigned preemptions) {
  return {{.name = name, .preemptions = preemptions, .stale_reads = 1, .random_executions = 2'000},
          set_up};
}

const std::vector<exploration>& channels() {
  static const std::vector<exploration> all{
      explored("channel/one to one, no room", one_to_one<0>, 3),
      explored("channel/one to one, room for one", one_to_one<1>, 3),
      explored("channel/one to one, room for two", one_to_one<2>, 2),
      explored("channel/room is used", room_is_used, 3),
      explored("channel/two to one, no room", two_to_one<0>, 1),
      explored("channel/two to one, room for one", two_to_one<1>, 1),
      explored("channel/room is not taken twice", room_is_not_taken_twice, 2),
      explored("channel/one to two, no room", one_to_two<0>, 1),
      explored("channel/one to two, room for one", one_to_two<1>, 1),
      explored("channel/stopped, no room", stopped<0>, 3),
      explored("channel/stopped, room for one", stopped<1>, 2),
      explored("channel/a receiver is stopped", a_receiver_is_stopped, 3),
      explored("channel/a sender is stopped, no room", a_sender_is_stopped<0>, 2),
      explored("channel/a sender is stopped, room for one", a_sender_is_stopped<1>, 2),
      explored("channel/closed, no room", closed<0>, 3),
      explored("channel/closed, room for one", closed<1>, 3),
      explored("channel/closed before", closed_before, 1),
      explored("channel/closed from outside", closed_from_outside, 3),
  };
  return all;
}

TEST_SUITE("runtime/channel explored") {
  TEST_CASE("each value is received once, a cancel has no effect, and an end wakes all") {
    for (const exploration& e : channels()) {
      const result r = run(e.how, e.set_up);
      CHECK_MESSAGE(!r.failed, r.report);
      CHECK((r.complete || sanitized()));
    }
  }

  TEST_CASE("each rule of a channel that is dropped is noticed" *
            doctest::skip(sanitized() || rules_of("channel").empty())) {
    const verdict v = drop_each(channels(), "channel", {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 27);
    const verdict w = drop_each(channels(), "waiters", {});
    CHECK_MESSAGE(w.wrong.empty(), w.text());
    CHECK(w.noticed == 3);
  }

  TEST_CASE("each memory order of the ring that is weakened is noticed" *
            doctest::skip(sanitized())) {
    const verdict v = weaken_each(channels(), {"/channel_state.hpp"}, {});
    CHECK_MESSAGE(v.wrong.empty(), v.text());
    CHECK(v.noticed >= 3);
  }
}

}  // namespace

}  // namespace channel_explore_test
